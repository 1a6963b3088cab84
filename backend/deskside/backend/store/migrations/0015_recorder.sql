-- The recorder: long events packed, and what models were asked, each value of it once.

-- An event of some length is in `packed`, compressed, and its `data` is empty.
alter table run_event add column packed blob;
create index run_event_that_refers on run_event (run) where kind in ('model_asked', 'run_began');

-- Instructions, tools and the items of histories, by content: a request names them by id.
create table recorded_item (
  id integer primary key,
  sha256 blob not null,
  data blob not null,
  constraint recorded_item_sha256_length check (length(sha256) = 32)
) strict;
create unique index recorded_item_by_sha256 on recorded_item (sha256);
