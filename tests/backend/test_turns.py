"""Any history, however it was interrupted, makes turns that every provider accepts."""

from __future__ import annotations

import itertools
import json

from hypothesis import given
from hypothesis import strategies as st

from deskside.backend.agent.events import (
    AssistantReasoning,
    AssistantText,
    HistoryItem,
    ToolFinished,
    ToolRequested,
    UserText,
)
from deskside.backend.agent.turns import GO_ON, AssistantTurn, ToolTurn, UserTurn, arguments_object, turns

WORDS = st.sampled_from(["", " ", "a", "b\n"])
IDS = st.sampled_from(["1", "2", ""])
HISTORIES = st.lists(
    st.one_of(
        st.builds(UserText, WORDS),
        st.builds(AssistantText, WORDS),
        st.builds(AssistantReasoning, WORDS, st.sampled_from([None, "{}"])),
        st.builds(ToolRequested, IDS, st.just("add"), st.just("{}")),
        st.builds(ToolFinished, IDS, WORDS),
    ),
    max_size=12,
)


def test_a_step_with_two_tools_is_one_turn_of_each_kind() -> None:
    first, second = ToolRequested("1", "add", "{}"), ToolRequested("2", "add", "{}")

    assert [
        UserTurn("Hi"),
        AssistantTurn((AssistantText("Adding."), first, second)),
        ToolTurn([ToolFinished("1", "3"), ToolFinished("2", "4")]),
        AssistantTurn((AssistantText("Done."),)),
        UserTurn("Thanks"),
    ] == turns(
        [
            UserText("Hi"),
            AssistantText("Adding."),
            first,
            second,
            ToolFinished("2", "4"),
            ToolFinished("1", "3"),
            AssistantText("Done."),
            UserText("Thanks"),
        ]
    )


def test_a_call_that_a_crash_left_without_result_is_answered() -> None:
    (_, asked, answered, last) = turns([UserText("Hi"), ToolRequested("1", "add", "{}"), UserText("Go on")])

    assert isinstance(asked, AssistantTurn)
    assert [
        ToolFinished("1", "This call was interrupted and has no result.", failed=True)
    ] == answered.results  # type: ignore[union-attr]
    assert UserTurn("Go on") == last


def test_reasoning_that_led_to_nothing_is_left_out_and_the_user_s_words_are_joined() -> None:
    assert [UserTurn("Hi\n\nAgain")] == turns(
        [UserText("Hi"), AssistantReasoning("Hm.", "{}"), UserText("Again")]
    )


def test_an_answer_that_broke_off_is_continued_by_asking_for_the_rest() -> None:
    made = turns([UserText("Hi"), AssistantText("Hel")])

    assert [UserTurn("Hi"), AssistantTurn((AssistantText("Hel"),)), UserTurn(GO_ON)] == made


def test_half_characters_from_outside_are_replaced() -> None:
    made = turns([UserText("a\ud800b"), ToolRequested("1", "ls", "{}"), ToolFinished("1", "caf\udce9 é")])

    assert UserTurn("a?b") == made[0]
    assert ToolTurn([ToolFinished("1", "caf? é")]) == made[2]


@given(HISTORIES)
def test_no_two_turns_of_a_kind_follow_each_other(history: list[HistoryItem]) -> None:
    for one, next_one in itertools.pairwise(turns(history)):
        assert type(one) is not type(next_one)


@given(HISTORIES)
def test_every_request_is_followed_by_its_one_result_and_nothing_else_is(history: list[HistoryItem]) -> None:
    made = turns(history)

    for turn, following in zip(made, [*made[1:], None], strict=False):
        if isinstance(turn, AssistantTurn) and turn.requests:
            assert isinstance(following, ToolTurn)
            assert [request.call_id for request in turn.requests] == [
                each.call_id for each in following.results
            ]
        if isinstance(following, ToolTurn):
            assert isinstance(turn, AssistantTurn)
    assert not made or (not isinstance(made[0], ToolTurn) and not isinstance(made[-1], AssistantTurn))
    sent = [each.call_id for turn in made if isinstance(turn, AssistantTurn) for each in turn.requests]
    assert len({*sent, ""}) == len(sent) + 1


def test_results_of_one_id_are_those_of_its_calls_in_order() -> None:
    calls = [ToolRequested("", "add", "{}"), ToolRequested("", "add", "{}")]

    made = turns([UserText("Hi"), *calls, ToolFinished("", "3"), ToolFinished("", "4")])

    assert ToolTurn([ToolFinished("call", "3"), ToolFinished("call_2", "4")]) == made[-1]


@given(HISTORIES)
def test_no_turn_is_blank_and_reasoning_never_comes_last_in_one(history: list[HistoryItem]) -> None:
    for turn in turns(history):
        if isinstance(turn, UserTurn):
            assert turn.text.strip()
        elif isinstance(turn, AssistantTurn):
            assert not isinstance(turn.items[-1], AssistantReasoning)
            assert all(item.text.strip() for item in turn.items if isinstance(item, AssistantText))


@given(
    st.one_of(
        st.text(st.characters(exclude_categories=[])),
        st.dictionaries(st.text(), st.integers()).map(json.dumps),
        st.sampled_from(["[1]", "null"]),
    )
)
def test_arguments_are_always_sent_as_an_object(arguments: str) -> None:
    assert isinstance(json.loads(bytes(arguments_object(arguments))), dict)
