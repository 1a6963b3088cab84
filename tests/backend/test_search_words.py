"""What holds for any text: its words find it, and what is shown of it is a part of it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pony.orm import db_session

from deskside.backend.store import conversation_search, first_start, replies
from deskside.backend.store.connection import Db
from deskside.backend.store.migrate import migrate
from deskside.backend.store.search_query import parse
from deskside.backend.store.segmentation import indexed, name_parts
from deskside.backend.store.snippets import cut, find_hits, folded, snippet

# Letters and digits of scripts that both SQLite and Python know, with what stands between them.
LETTERS = st.characters(codec="utf-8", categories=["Lu", "Ll", "Lo", "Nd"], max_codepoint=0x9FFF)
SCRIPTS = st.sampled_from("aAbBzZ09_äßéèñŁøçжЁёщابعقשלגक東京旅あんアー한국แกงა")
TEXTS = st.text(SCRIPTS | st.sampled_from(" \n.,-()/:'\"") | LETTERS, min_size=1, max_size=60)


@pytest.fixture(scope="module")
def empty_db(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Db]:
    """A database of its own, on this thread and without a store. Tests leave it as it was."""
    database: Path = tmp_path_factory.mktemp("search") / "deskside.db"
    migrate(database, database.parent)
    db = Db(database, busy_timeout_s=1)
    with db_session:
        first_start.make_rows(db)
    yield db
    db.disconnect()


@settings(max_examples=150)
@given(text=TEXTS)
@example(text="Sß")
@example(text="Fluss Flußß ßs sßs")
def test_every_word_of_a_text_finds_it(text: str, empty_db: Db) -> None:
    with db_session:
        asked = replies.ask(empty_db, None, text, "test/model")
        assert asked.question is not None
        for word in re.findall(r"[^\W_]+", text):
            page = conversation_search.search(empty_db, f"{word} ", 10)
            assert [asked.question.id] == [hit.message_id for hit in page.messages], word
            assert any(piece.is_hit for piece in page.messages[0].snippet), word
        empty_db.rollback()


@settings(max_examples=150)
@given(text=TEXTS, typed=st.text(max_size=30) | TEXTS)
def test_any_text_can_be_looked_for_in_any_other(text: str, typed: str, empty_db: Db) -> None:
    with db_session:
        replies.ask(empty_db, None, text, "test/model")
        conversation_search.search(empty_db, typed, 10)
        conversation_search.find(empty_db, typed, 10, 0)
        empty_db.rollback()


@given(text=st.text(max_size=400), typed=TEXTS)
def test_a_snippet_is_a_part_of_the_text(text: str, typed: str) -> None:
    terms = parse(typed).terms
    pieces = snippet(text, terms)
    whole = "".join(piece.text for piece in pieces)

    assert len(folded(text)) == len(text)
    assert text == "".join(piece.text for piece in cut(text, find_hits(text, terms)))
    assert whole.removeprefix("…").removesuffix("…").strip() in text or whole.strip() in text


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("parseOrder", "parse Order parseOrder"),
        ("parseOrderId", "parse Order Id parseOrderId OrderId"),
        ("HTTPServer", "HTTP Server HTTPServer"),
        ("getURL", "get URL getURL"),
        ("utf8Text", "utf 8 Text utf8Text 8Text"),
        ("snake_case_id", "snakecaseid caseid"),
        ("os.path.join", "ospathjoin pathjoin"),
        ("a.bC", "a b C abC bC"),
        ("plain", ""),
        ("ALLCAPS", ""),
        ("Title", ""),
        ("__init__", ""),
        ("_.._", ""),
        ("aB" * 60, ""),
        ("a_b_c_d_e_f_g_h_i", "abcdefgh bcdefghi cdefghi defghi efghi fghi ghi hi"),
    ],
)
def test_a_name_is_found_by_its_parts_and_by_what_it_ends_with(name: str, parts: str) -> None:
    assert parts == name_parts(f"call {name}, twice: {name}")


@given(text=st.text())
def test_texts_that_need_nothing_are_indexed_as_they_are(text: str) -> None:
    plain = re.sub("[._]", " ", text.encode("ascii", "ignore").decode().lower())

    assert plain == indexed(plain)
