-- MCP servers that can be used: what they are started with, and tools whose definition the user accepted.

-- JSON lists of {name, value, place}. A value that is secret is null here and kept in `place`, the keychain or
-- the encrypted file, under a name that begins with `secret_prefix`.
alter table mcp_server add column environment text not null default '[]' check (json_valid(environment));
alter table mcp_server add column headers text not null default '[]' check (json_valid(headers));
alter table mcp_server add column secret_prefix text not null default '';

-- Of a tool of an MCP server: its name there; the definition that the user accepted, null for none yet; and the one
-- that the server has now, null where that is the accepted one. Both are JSON. `is_offered` is 0 once the server
-- has the tool no longer.
alter table tool add column remote_name text;
alter table tool add column accepted text check (accepted is null or json_valid(accepted));
alter table tool add column offered text check (offered is null or json_valid(offered));
alter table tool add column is_offered integer not null default 1 check (is_offered in (0, 1));
create unique index tool_by_remote_name on tool (mcp_server, remote_name) where mcp_server is not null;
