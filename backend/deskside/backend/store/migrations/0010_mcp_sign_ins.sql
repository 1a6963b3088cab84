-- Signing in at an MCP server that is somewhere else.

-- JSON: {place, parts}. What came of it (tokens, and how Deskside is known there) is in `place`, the keychain or the
-- encrypted file, in so many entries under names that begin with `secret_prefix`. Null where nobody is signed in.
alter table mcp_server add column sign_in text check (sign_in is null or json_valid(sign_in));
