-- What the program used of the machine, five minutes a row, to look at later.

-- `data` is JSON, a list with one entry a series (metrics/samples.py): null, or [min, mean, max, count].
create table metric_bucket (
  at_ms integer primary key,
  data text not null check (json_valid(data))
) strict;
