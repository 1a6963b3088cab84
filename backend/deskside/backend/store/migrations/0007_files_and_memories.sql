-- What the assistant wrote into files, so that it can be undone, and what it was asked to remember.
--
-- `before` is what the file held, compressed; null where there was no file. It is emptied when the oldest go.

create table file_version (
  id integer primary key,
  path text not null,
  folder text not null,
  conversation integer references conversation on delete set null,
  message integer references message on delete set null,
  call_id text not null,
  before blob,
  existed integer not null,
  before_bytes integer not null,
  after_bytes integer not null,
  after_sha256 text not null,
  created_ms integer not null,
  undone_ms integer,
  constraint file_version_existed check (existed in (0, 1)),
  constraint file_version_before check (existed = 1 or before is null),
  constraint file_version_sha256 check (length(after_sha256) = 64)
) strict;
create index file_version_by_message on file_version (message) where message is not null;
create index file_version_by_conversation on file_version (conversation) where conversation is not null;

create table memory (
  id integer primary key,
  text text not null,
  conversation integer references conversation on delete set null,
  run integer references run on delete set null,
  agent integer references agent on delete set null,
  is_tainted integer not null,
  created_ms integer not null,
  updated_ms integer not null,
  constraint memory_says_something check (text <> ''),
  constraint memory_is_tainted check (is_tainted in (0, 1))
) strict;
create index memory_by_conversation on memory (conversation) where conversation is not null;
create index memory_by_run on memory (run) where run is not null;
create index memory_by_agent on memory (agent) where agent is not null;
