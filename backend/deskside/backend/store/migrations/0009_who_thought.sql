-- Which model wrote a part, where that is not the message's: one that fell back to another has parts of both.
alter table message_part add column model text;
