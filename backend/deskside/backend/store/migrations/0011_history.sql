-- The history: a shown path that is known by itself, folders, tags, pins, an archive, files by content, imports.

-- `depth` counts the messages above. Those that are shown are a range of an index, however long the conversation.
alter table message add column depth integer not null default 0;
alter table message add column is_shown integer not null default 0 check (is_shown in (0, 1));

with recursive tree (id, depth) as (
  select id, 0 from message where parent is null
  union all
  select message.id, tree.depth + 1 from tree join message on message.parent = tree.id
)
update message set depth = tree.depth from tree where tree.id = message.id and tree.depth > 0;

with recursive path (id, parent) as (
  select message.id, message.parent from conversation join message on message.id = conversation.head
  union all
  select message.id, message.parent from path join message on message.id = path.parent
)
update message set is_shown = 1 where id in (select id from path);

create unique index message_shown on message (conversation, depth) where is_shown = 1;

-- Who answered. It was known by the run alone, which a copy or an import does not have.
alter table message add column agent integer references agent on delete set null;
update message set agent = (
  select run.agent from run where run.message = message.id and run.agent is not null order by run.id desc limit 1
) where role = 'assistant';
create index message_by_agent on message (agent) where agent is not null;

create table folder (
  id integer primary key,
  name text not null,
  position integer not null,
  created_ms integer not null,
  constraint folder_has_a_name check (name <> '')
) strict;
create unique index folder_by_name on folder (name);

create table tag (
  id integer primary key,
  name text not null,
  constraint tag_has_a_name check (name <> '')
) strict;
create unique index tag_by_name on tag (name);

create table conversation_tag (
  conversation integer not null references conversation on delete cascade,
  tag integer not null references tag on delete cascade,
  primary key (conversation, tag)
) strict, without rowid;
create index conversation_tag_by_tag on conversation_tag (tag, conversation);

alter table conversation add column folder integer references folder on delete set null;
alter table conversation add column pinned_ms integer;
alter table conversation add column archived_ms integer;
-- The message that it was forked at.
alter table conversation add column forked_from integer references message on delete set null;
-- Who gave the title: it is the start of the question, a model's, or the user's, which no model changes.
alter table conversation add column titled_by text not null default 'start'
  check (titled_by in ('start', 'model', 'user'));
-- Of what an import read, so that importing it again adds nothing.
alter table conversation add column source_sha256 text check (length(source_sha256) = 64);
-- Which conversation of the other program it is, and how many messages came: one that grew there takes the place of
-- what was imported, unless the user went on with that here.
alter table conversation add column source_id text;
alter table conversation add column source_messages integer;

create index conversation_listed on conversation (updated_ms desc, id desc)
  where deleted_ms is null and archived_ms is null;
create index conversation_pinned on conversation (pinned_ms) where pinned_ms is not null;
create index conversation_archived on conversation (updated_ms desc, id desc) where archived_ms is not null;
create index conversation_by_folder on conversation (folder, updated_ms desc, id desc) where folder is not null;
create index conversation_deleted on conversation (deleted_ms) where deleted_ms is not null;
create index conversation_by_forked_from on conversation (forked_from) where forked_from is not null;
create index conversation_by_source on conversation (source_sha256) where source_sha256 is not null;
create index conversation_by_source_id on conversation (source_id) where source_id is not null;

-- A file is on the disk once, under its hash, for as long as an attachment refers to it. `text` is what was read out
-- of it for models that do not take the file itself.
drop table attachment;
create table stored_file (
  id integer primary key,
  sha256 text not null,
  size_bytes integer not null,
  media_type text not null,
  text text,
  text_status text not null,
  text_error text not null default '',
  created_ms integer not null,
  constraint stored_file_sha256 check (length(sha256) = 64),
  constraint stored_file_text_status check (text_status in ('none', 'waiting', 'ready', 'failed'))
) strict;
create unique index stored_file_by_sha256 on stored_file (sha256);

-- Without a message it belongs to a draft: of a conversation, or of the one that does not exist yet.
create table attachment (
  id integer primary key,
  conversation integer references conversation on delete cascade,
  message integer references message on delete cascade,
  position integer not null,
  name text not null,
  file integer not null references stored_file,
  created_ms integer not null
) strict;
create index attachment_by_message on attachment (message, position) where message is not null;
create index attachment_by_conversation on attachment (conversation) where conversation is not null;
create index attachment_by_file on attachment (file);

-- The index reads a whole message at once, so that words in two parts of a reply are found together, and reads it
-- through `segmented` (store/segmentation.py), which our connections have: it makes words of what is written without
-- spaces. `prefix` is of words that are half typed (SHORTEST_BEGIN in store/search_query.py). Deleting a message takes its text out; adding one is done by hand, as before (store/search_index.py).
drop table message_search;
drop view searchable_text;
create view searchable_text as
  select message.id, segmented((
    select group_concat(text, char(10)) from (
      select text from message_part
      where message_part.message = message.id and kind in ('text', 'user') order by position
    )
  )) as text
  from message
  where message.status <> 'streaming' and exists (
    select 1 from message_part where message_part.message = message.id and kind in ('text', 'user')
  );
create virtual table message_search using fts5 (
  text, content = 'searchable_text', content_rowid = 'id', tokenize = 'unicode61 remove_diacritics 2', prefix = '3'
);
insert into message_search (message_search) values ('rebuild');
create trigger message_leaves_the_index before delete on message when old.status <> 'streaming' begin
  insert into message_search (message_search, rowid, text)
    select 'delete', id, text from searchable_text where id = old.id;
end;

create view searchable_title as select id, segmented(title) as text from conversation;
create virtual table title_search using fts5 (
  text, content = 'searchable_title', content_rowid = 'id', tokenize = 'unicode61 remove_diacritics 2', prefix = '3'
);
insert into title_search (title_search) values ('rebuild');
create trigger title_enters_the_index after insert on conversation begin
  insert into title_search (rowid, text) values (new.id, segmented(new.title));
end;
create trigger title_changes_in_the_index after update of title on conversation begin
  insert into title_search (title_search, rowid, text) values ('delete', old.id, segmented(old.title));
  insert into title_search (rowid, text) values (new.id, segmented(new.title));
end;
create trigger title_leaves_the_index after delete on conversation begin
  insert into title_search (title_search, rowid, text) values ('delete', old.id, segmented(old.title));
end;
