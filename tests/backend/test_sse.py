"""Splitting a stream of bytes into events, however it was cut on its way."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deskside.backend.agent.sse import EventSplitter
from deskside.backend.errors import StreamGarbled


def split(*chunks: bytes) -> list[bytes]:
    splitter = EventSplitter()
    found = [data for chunk in chunks for data in splitter.feed(chunk)]
    return found + splitter.finish()


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
def test_events_end_at_a_blank_line_in_any_of_the_three_line_ends(end: bytes) -> None:
    assert [b"1", b"2"] == split(b"data: 1\n\ndata: 2\n\n".replace(b"\n", end))


def test_data_lines_of_one_event_are_joined() -> None:
    assert [b"{\n1\n}"] == split(b"event: x\ndata: {\ndata:1\ndata: }\nid: 7\n\n")


def test_comments_and_events_without_data_are_passed_over() -> None:
    assert [b"1"] == split(b": keep-alive\n\nevent: ping\n\n\n\nretry: 10\ndata: 1\n\n")


def test_only_one_space_after_the_colon_is_taken_off() -> None:
    assert [b" 1"] == split(b"data:  1\n\n")


def test_a_byte_order_mark_at_the_start_is_taken_off() -> None:
    assert [b"1"] == split(b"\xef\xbb\xbfdata: 1\n\n")


def test_bare_json_and_an_error_line_count_as_data() -> None:
    assert [b'{"error": 1}', b'{"code": 500}'] == split(b'{"error": 1}\n\nerror: {"code": 500}\n\n')


def test_the_last_event_counts_without_its_blank_line() -> None:
    assert [b"1", b"[DONE]"] == split(b"data: 1\n\ndata: [DONE]")


def test_half_a_last_event_is_thrown_away() -> None:
    assert [b"1"] == split(b'data: 1\n\ndata: {"a')


def test_an_event_beyond_the_limit_is_refused_before_it_is_complete() -> None:
    splitter = EventSplitter(limit_bytes=100)
    splitter.feed(b"data: " + b"x" * 90)

    with pytest.raises(StreamGarbled):
        splitter.feed(b"x" * 90)


def test_many_small_events_do_not_count_together() -> None:
    splitter = EventSplitter(limit_bytes=100)

    assert 50 == len(splitter.feed(b"data: 0123456789\n\n" * 50))


def test_bytes_that_are_not_text_are_refused() -> None:
    with pytest.raises(StreamGarbled):
        split(b"data: \xff\xfe\n\n")


def test_what_came_before_bytes_that_are_not_text_is_not_lost() -> None:
    splitter = EventSplitter()

    assert [b"one"] == splitter.feed(b"data: one\n\ndata: \xff\n\ndata: two\n\n")
    assert isinstance(splitter.failure, StreamGarbled)


def test_a_character_cut_in_half_between_two_chunks_is_whole_again() -> None:
    text = "data: é🗼\n\n".encode()

    assert ["é🗼".encode()] == split(text[:7], text[7:10], text[10:])


LINES = st.lists(
    st.sampled_from(
        [b"data: a", b"data:b", b": c", b"event: x", b"", b"", b'{"d":1}', "data: é".encode(), b"junk"]
    ),
    max_size=20,
)


@given(LINES, st.sampled_from([b"\n", b"\r\n", b"\r"]), st.data())
def test_any_cutting_gives_the_same_events(lines: list[bytes], end: bytes, data: st.DataObject) -> None:
    stream = end.join(lines)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=8)))
    chunks = [stream[start:stop] for start, stop in zip([0, *cuts], [*cuts, len(stream)], strict=True)]

    assert split(stream) == split(*chunks)
