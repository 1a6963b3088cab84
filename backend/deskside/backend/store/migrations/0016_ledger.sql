-- The ledger: what is known about the cost of each call, whose conversation it was, the user's prices, past limits.

-- A conversation as the ledger knows it, also when it is gone: its title is then the last that it had.
create table usage_conversation (
  id integer primary key,
  conversation integer references conversation on delete set null,
  title text not null
) strict;
create unique index usage_conversation_of on usage_conversation (conversation) where conversation is not null;

create trigger conversation_leaves_its_title before delete on conversation begin
  update usage_conversation set title = old.title where conversation = old.id;
end;

-- `billed` is what the provider says, `estimated` tokens times the price that held then, `unknown` neither.
alter table usage_record add column state text not null default 'unknown'
  check (state in ('billed', 'estimated', 'unknown'));
alter table usage_record add column conversation integer references usage_conversation on delete set null;

insert into usage_conversation (conversation, title)
  select id, title from conversation
  where id in (select run.conversation from usage_record join run on run.id = usage_record.run);
update usage_record set
  state = iif(cost_nano_usd is null, 'unknown', 'estimated'),
  conversation = (
    select usage_conversation.id from run
    join usage_conversation on usage_conversation.conversation = run.conversation
    where run.id = usage_record.run
  );
create index usage_record_by_conversation on usage_record (conversation) where conversation is not null;

-- The user's prices, in dollars for a million tokens. A change is a new row; of those of a day the last one holds.
-- One without an input price says that the list of the program holds again. `valid_from` is a local date.
create table price (
  id integer primary key,
  model text not null,
  valid_from text not null,
  input text,
  cache_read text,
  cache_write text,
  output text,
  made_ms integer not null,
  constraint price_is_whole check ((input is null) = (output is null)),
  constraint price_starts_on_a_day check (valid_from glob '[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9]')
) strict;
create index price_by_model on price (model, valid_from);

-- What limits were, and when they were set: those of all agents together where `agent` is null.
create table limit_change (
  id integer primary key,
  at_ms integer not null,
  agent integer references agent on delete cascade,
  limits text not null,
  constraint limit_change_is_json check (json_valid(limits))
) strict;
create index limit_change_by_agent on limit_change (agent) where agent is not null;

insert into limit_change (at_ms, agent, limits) select changed_ms, null, value from setting where name = 'limits';
insert into limit_change (at_ms, agent, limits) select updated_ms, id, limits from agent where limits <> '{}';
