-- The whole first schema in one file: before the first release there is nothing to migrate from.
--
-- Times are Unix milliseconds UTC. Money is whole nano-dollars. A text that is JSON says so.
-- Rows that only make sense with their owner go with it; usage stays, so that every cent stays accounted for.

create table user (
  id integer primary key,
  name text not null,
  theme text not null,
  language text not null,
  created_ms integer not null
) strict;

create table setting (
  name text primary key not null,
  value text not null,
  changed_ms integer not null,
  constraint setting_value_is_json check (json_valid(value))
) strict, without rowid;

-- What may be known of a key. The secret itself is in the keychain and has no column here.
create table api_key (
  provider text primary key not null,
  label text not null,
  last_four text not null,
  source text not null,
  created_ms integer not null,
  last_used_ms integer,
  constraint api_key_shows_at_most_four check (length(last_four) <= 4),
  constraint api_key_source check (source in ('keychain', 'file'))
) strict, without rowid;

create table mcp_server (
  id integer primary key,
  name text not null,
  transport text not null,
  command text not null,
  arguments text not null,
  url text not null,
  is_enabled integer not null,
  created_ms integer not null,
  updated_ms integer not null,
  constraint mcp_server_transport check (transport in ('stdio', 'http')),
  constraint mcp_server_arguments_are_json check (json_valid(arguments)),
  constraint mcp_server_is_enabled check (is_enabled in (0, 1))
) strict;
create unique index mcp_server_by_name on mcp_server (name);

create table prompt (
  id integer primary key,
  name text not null,
  text text not null,
  created_ms integer not null,
  updated_ms integer not null
) strict;
create unique index prompt_by_name on prompt (name);

create table agent (
  id integer primary key,
  name text not null,
  label text not null,
  instructions text not null,
  model text,
  temperature real,
  step_limit integer not null,
  created_ms integer not null,
  updated_ms integer not null,
  deleted_ms integer,
  constraint agent_step_limit check (step_limit > 0)
) strict;
create unique index agent_by_name on agent (name);

-- `parameters` is a JSON Schema. `source` is the Python text of a tool that the user wrote.
create table tool (
  id integer primary key,
  name text not null,
  kind text not null,
  description text not null,
  parameters text not null,
  source text,
  mcp_server integer references mcp_server on delete cascade,
  approval text not null,
  is_enabled integer not null,
  created_ms integer not null,
  updated_ms integer not null,
  constraint tool_kind check (kind in ('built_in', 'user', 'mcp')),
  constraint tool_has_its_origin check ((kind = 'user') = (source is not null) and (kind = 'mcp') = (mcp_server is not null)),
  constraint tool_parameters_are_json check (json_valid(parameters)),
  constraint tool_approval check (approval in ('never', 'ask', 'always_ask')),
  constraint tool_is_enabled check (is_enabled in (0, 1))
) strict;
create unique index tool_by_name on tool (name);
create index tool_by_mcp_server on tool (mcp_server) where mcp_server is not null;

-- `head` is the last message of the path that is shown.
create table conversation (
  id integer primary key,
  user integer not null references user on delete cascade,
  agent integer references agent on delete set null,
  title text not null,
  model text,
  draft text not null,
  head integer references message on delete set null,
  created_ms integer not null,
  updated_ms integer not null,
  deleted_ms integer,
  constraint conversation_has_a_title check (title <> '')
) strict;
create index conversation_by_updated on conversation (updated_ms desc, id desc) where deleted_ms is null;
create index conversation_by_user on conversation (user);
create index conversation_by_agent on conversation (agent) where agent is not null;
create index conversation_by_head on conversation (head) where head is not null;

-- A tree: siblings are versions of each other. `error` and `usage` are JSON.
create table message (
  id integer primary key,
  conversation integer not null references conversation on delete cascade,
  parent integer references message on delete cascade,
  role text not null,
  status text not null,
  model text,
  error text,
  usage text,
  created_ms integer not null,
  finished_ms integer,
  constraint message_role check (role in ('user', 'assistant')),
  constraint message_status check (status in ('streaming', 'complete', 'interrupted', 'stopped', 'failed')),
  constraint message_of_a_user_is_complete check (role = 'assistant' or status = 'complete')
) strict;
create index message_by_conversation on message (conversation);
create index message_by_parent on message (parent, conversation);
-- One answer at a time in a conversation. It also finds at once what a crash left unfinished.
create unique index message_streaming_by_conversation on message (conversation) where status = 'streaming';

-- `data` is the JSON of a tool call. `provider_data` is what the provider wants back unchanged.
create table message_part (
  id integer primary key,
  message integer not null references message on delete cascade,
  position integer not null,
  step integer not null,
  kind text not null,
  text text not null,
  data text,
  provider_data text,
  constraint message_part_kind check (kind in ('text', 'reasoning', 'tool_call')),
  constraint message_part_data_is_of_a_tool_call check ((kind = 'tool_call') = (data is not null))
) strict;
create unique index message_part_by_position on message_part (message, position);

-- Text of a reply that is still streaming, in the order of `n`; it becomes a part when the reply ends.
create table message_chunk (
  message integer not null references message on delete cascade,
  position integer not null,
  n integer not null,
  kind text not null,
  text text not null,
  primary key (message, position, n),
  constraint message_chunk_kind check (kind in ('text', 'reasoning', 'tool_call'))
) strict, without rowid;

create table attachment (
  id integer primary key,
  message integer not null references message on delete cascade,
  position integer not null,
  name text not null,
  media_type text not null,
  size_bytes integer not null,
  sha256 text not null,
  created_ms integer not null,
  constraint attachment_sha256 check (length(sha256) = 64)
) strict;
create index attachment_by_message on attachment (message, position);

create table run (
  id integer primary key,
  conversation integer not null references conversation on delete cascade,
  message integer not null references message on delete cascade,
  agent integer references agent on delete set null,
  model text not null,
  status text not null,
  reason text,
  request_id text not null,
  started_ms integer not null,
  finished_ms integer,
  constraint run_status check (status in ('running', 'complete', 'interrupted', 'stopped', 'failed'))
) strict;
create index run_by_message on run (message);
create index run_by_conversation on run (conversation);
create index run_by_agent on run (agent) where agent is not null;
create index run_running on run (status) where status = 'running';

-- The recorder. `data` is the event's JSON.
create table run_event (
  run integer not null references run on delete cascade,
  n integer not null,
  at_ms integer not null,
  kind text not null,
  data text not null,
  primary key (run, n)
) strict;

-- One row a model call. `price` is the JSON of the price row that `cost_nano_usd` was computed with.
create table usage_record (
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
  cost_nano_usd integer,
  price text,
  request_id text not null,
  at_ms integer not null,
  constraint usage_record_tokens check (
    min(input_tokens, cache_read_tokens, cache_write_tokens, output_tokens, reasoning_tokens) >= 0
  ),
  constraint usage_record_price_is_json check (price is null or json_valid(price))
) strict;
create unique index usage_record_by_call on usage_record (call_id);
create index usage_record_by_run on usage_record (run) where run is not null;
create index usage_record_by_time on usage_record (at_ms);

create table error_log (
  id integer primary key,
  at_ms integer not null,
  source text not null,
  code text not null,
  message text not null,
  place text not null,
  detail text not null,
  request_id text not null
) strict;
