-- Every tool's row says what a call of it does; those that the user wrote, also what they may reach.
--
-- `effect` is 'execute', the one that is always asked about, until whoever owns the tool has said what it is.
-- `capabilities` is a JSON list: files, web, time.

alter table tool add column effect text not null default 'execute'
  constraint tool_effect check (effect in ('read', 'write', 'send', 'execute'));
alter table tool add column category text not null default '';
alter table tool add column capabilities text not null default '[]'
  constraint tool_capabilities_are_json check (json_valid(capabilities));
