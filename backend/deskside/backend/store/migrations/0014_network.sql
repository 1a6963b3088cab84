-- What left this machine, to whom and why: a row for each use of a connection.

create table network_use (
    id integer primary key,
    at_ms integer not null,
    -- Null while it goes on.
    duration_ms integer check (duration_ms >= 0),
    host text not null,
    port integer not null,
    is_loopback integer not null check (is_loopback in (0, 1)),
    -- The proxy's host; empty where there is none.
    via text not null,
    -- What it was for, and about whom.
    purpose text not null,
    subject text not null,
    request_id text not null,
    sent_bytes integer not null check (sent_bytes >= 0),
    received_bytes integer not null check (received_bytes >= 0),
    -- How it ended; empty while it goes on.
    outcome text not null
) strict;

create index network_use_by_host on network_use(is_loopback, host, at_ms);
create index network_use_by_time on network_use(at_ms);
create index network_use_open on network_use(id) where outcome = '';
