-- One row for each kind of failure, with how often it came and when first: the user is told once, not a thousand times.

-- What failures of one kind have in common; '' for those from before, which stay as they are.
alter table error_log add column fingerprint text not null default '';
alter table error_log add column count integer not null default 1;
alter table error_log add column first_ms integer not null default 0;
alter table error_log add column version text not null default '';
-- The last command that the user gave before.
alter table error_log add column doing text not null default '';
-- Whether the user was told of it.
alter table error_log add column is_shown integer not null default 0;
-- The times and requests of the last ones before the newest, as JSON, newest first.
alter table error_log add column earlier text not null default '[]';
update error_log set first_ms = at_ms, is_shown = 1;
create unique index error_log_by_fingerprint on error_log (fingerprint) where fingerprint <> '';
create index error_log_by_time on error_log (at_ms);
