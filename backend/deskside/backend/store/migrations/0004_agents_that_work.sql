-- Agents with tools, approvals, sub-agents and limits; every part says where its text comes from.
--
-- `message_part` is made anew because SQLite cannot change a constraint. The search index reads it by row id, and
-- the ids stay.

alter table agent add column icon text not null default '';
alter table agent add column fallback_models text not null default '[]' check (json_valid(fallback_models));
alter table agent add column max_output_tokens integer check (max_output_tokens > 0);
alter table agent add column reasoning_effort text;
alter table agent add column output_schema text check (output_schema is null or json_valid(output_schema));
-- A JSON list of names; null is every tool that is enabled.
alter table agent add column tools text check (tools is null or json_valid(tools));
alter table agent add column subagents text not null default '[]' check (json_valid(subagents));
alter table agent add column limits text not null default '{}' check (json_valid(limits));
alter table agent add column is_active integer not null default 1 check (is_active in (0, 1));
-- A name is free again once its agent was deleted.
drop index agent_by_name;
create unique index agent_by_name on agent (name) where deleted_ms is null;

-- What the user allowed one agent for good.
create table tool_grant (
  agent integer not null references agent on delete cascade,
  tool text not null,
  created_ms integer not null,
  primary key (agent, tool)
) strict, without rowid;

-- An agent that another one asked answers in a message of its own, which belongs to the call that asked:
-- `delegator` is the reply, `call_position` the part of it. It is on no path of the tree.
alter table message add column delegator integer references message on delete cascade;
alter table message add column call_position integer;
create index message_by_delegator on message (delegator, call_position) where delegator is not null;
drop index message_streaming_by_conversation;
create unique index message_streaming_by_conversation on message (conversation)
  where status = 'streaming' and delegator is null;
create index message_streaming on message (status) where status = 'streaming';

alter table run add column parent integer references run on delete set null;
create index run_by_parent on run (parent) where parent is not null;
alter table usage_record add column agent integer references agent on delete set null;

-- What the user said to a reply that is being written, until its next step takes it.
create table steering (
  id integer primary key,
  message integer not null references message on delete cascade,
  text text not null,
  created_ms integer not null
) strict;
create index steering_by_message on steering (message);

drop view searchable_text;
create table message_part_0004 (
  id integer primary key,
  message integer not null references message on delete cascade,
  position integer not null,
  step integer not null,
  kind text not null,
  text text not null,
  data text,
  provider_data text,
  origin text not null,
  constraint message_part_kind check (kind in ('text', 'reasoning', 'tool_call', 'user', 'note', 'pause')),
  constraint message_part_data check ((kind in ('tool_call', 'note', 'pause')) = (data is not null)),
  constraint message_part_origin check (
    origin in ('user', 'model', 'tool', 'agent', 'store', 'file', 'web', 'user_tool', 'mcp')
  )
) strict;
insert into message_part_0004 (id, message, position, step, kind, text, data, provider_data, origin)
  select message_part.id, message, position, step, kind, text, data, provider_data,
    case when kind = 'tool_call' then 'tool' when role = 'user' then 'user' else 'model' end
  from message_part join message on message.id = message_part.message;
drop table message_part;
alter table message_part_0004 rename to message_part;
create unique index message_part_by_position on message_part (message, position);
-- Calls and pauses that wait for the user, found without reading every part.
create index message_part_waiting on message_part (message)
  where kind in ('tool_call', 'pause') and json_extract(data, '$.status') = 'waiting';
create view searchable_text as
  select message_part.id, message_part.text
  from message_part join message on message.id = message_part.message
  where message_part.kind in ('text', 'user') and message.status <> 'streaming';
