-- The recorder: what happened together as one row, packed, and what models were asked, each value of it once.

-- A row of the kind 'facts' holds those from number `n` on, which follow each other without gaps: JSON pairs of
-- their time and the fact. What is long is in `packed`, compressed, and `data` is empty. `items` names those that
-- are referred to, as JSON pairs of the first id and how many.
alter table run_event add column items text;
alter table run_event add column packed blob;
create index run_event_that_refers on run_event (run) where items is not null;

-- Instructions, tools and the items of histories, by content: a request names them by id.
create table recorded_item (
  id integer primary key,
  sha256 blob not null,
  data blob not null,
  constraint recorded_item_sha256_length check (length(sha256) = 32)
) strict;
create unique index recorded_item_by_sha256 on recorded_item (sha256);
