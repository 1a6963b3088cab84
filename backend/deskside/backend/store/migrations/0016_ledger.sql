-- The ledger: what is known about the cost of each call, whose conversation it was, the user's prices, past limits.

-- A conversation as the ledger knows it. Its row stays when the conversation is deleted for good, so that what was
-- spent in one is never mixed with another's; what it was called goes with it.
create table usage_conversation (
  id integer primary key,
  conversation integer references conversation on delete set null
) strict;
create unique index usage_conversation_of on usage_conversation (conversation) where conversation is not null;
insert into usage_conversation (conversation)
  select distinct run.conversation from usage_record join run on run.id = usage_record.run;

-- `state`: `billed` is what the provider says, `estimated` tokens times the price that held when the call began,
-- `unknown` neither. `reported` is how much of its tokens the provider told: one that broke off may have used more.
create table ledger (
  id integer primary key,
  call_id text not null,
  run integer references run on delete set null,
  provider text not null,
  model text not null,
  input_tokens integer not null,
  cache_read_tokens integer not null,
  cache_write_tokens integer not null,
  output_tokens integer not null,
  reasoning_tokens integer not null,
  reported text not null,
  state text not null,
  cost_nano_usd integer,
  price text,
  request_id text not null,
  at_ms integer not null,
  agent integer references agent on delete set null,
  conversation integer references usage_conversation on delete set null,
  constraint usage_record_tokens check (
    min(input_tokens, cache_read_tokens, cache_write_tokens, output_tokens, reasoning_tokens) >= 0
  ),
  constraint usage_record_price_is_json check (price is null or json_valid(price)),
  constraint usage_record_reported check (reported in ('nothing', 'part', 'all')),
  constraint usage_record_state check (state in ('billed', 'estimated', 'unknown')),
  constraint usage_record_unknown_is_not_zero check ((state = 'unknown') = (cost_nano_usd is null)),
  constraint usage_record_cost check (cost_nano_usd >= 0)
) strict;
insert into ledger
  select usage_record.id, call_id, run, provider, usage_record.model, input_tokens, cache_read_tokens,
    cache_write_tokens, output_tokens, reasoning_tokens,
    iif(input_tokens + cache_read_tokens + cache_write_tokens + output_tokens = 0, 'nothing', 'all'),
    iif(cost_nano_usd is null, 'unknown', 'estimated'), cost_nano_usd, price, usage_record.request_id, at_ms,
    usage_record.agent, usage_conversation.id
  from usage_record left join run on run.id = usage_record.run
  left join usage_conversation on usage_conversation.conversation = run.conversation;
drop table usage_record;
alter table ledger rename to usage_record;
create unique index usage_record_by_call on usage_record (call_id);
create index usage_record_by_run on usage_record (run) where run is not null;
create index usage_record_by_time on usage_record (at_ms);
create index usage_record_by_agent on usage_record (agent, at_ms) where agent is not null;
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
