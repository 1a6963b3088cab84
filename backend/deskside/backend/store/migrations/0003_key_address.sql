-- A key belongs to the address it was saved for: a server that takes another one's name does not get its key.

alter table api_key add column address text;
