-- Limits are checked before every model call: what an agent used since midnight, without reading what others did.
create index usage_record_by_agent on usage_record (agent, at_ms) where agent is not null;
