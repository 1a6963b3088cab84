-- Full-text search over what was typed and answered, without a second copy of the text.
--
-- The index reads the text through a view (FTS5 external content). Nothing updates it by itself: a reply's
-- text enters when the reply is done, so streaming costs nothing (store/search_index.py).

create view searchable_text as
  select message_part.id, message_part.text
  from message_part join message on message.id = message_part.message
  where message_part.kind = 'text' and message.status <> 'streaming';

create virtual table message_search using fts5 (
  text, content = 'searchable_text', content_rowid = 'id', tokenize = 'unicode61 remove_diacritics 2'
);
insert into message_search (message_search) values ('rebuild');
