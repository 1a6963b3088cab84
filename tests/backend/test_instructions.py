"""Fields in instructions."""

from __future__ import annotations

from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deskside.backend.agent.instructions import field_values, rendered, unknown_fields
from deskside.backend.settings import Field, Settings


@pytest.mark.parametrize(
    ("instructions", "expected"),
    [
        ("You help {{user}} on {{ os }}.", "You help Ada on Linux."),
        ("{{user}}{{user}}", "AdaAda"),
        ("{{nobody}} and {user} and {{ user", "{{nobody}} and {user} and {{ user"),
        ("{{{user}}}", "{Ada}"),
        ("{{loop}}", "{{user}}"),
        ("{{USER}}", "{{USER}}"),
        ("", ""),
    ],
)
def test_fields_are_put_in_once(instructions: str, expected: str) -> None:
    values = {"user": "Ada", "os": "Linux", "loop": "{{user}}"}

    assert expected == rendered(instructions, values)


def test_names_that_stand_for_nothing_are_told_once_each() -> None:
    text = "{{team}} {{user}} {{ Team }} {{team}} {{not a name}}"

    assert ["team", "Team"] == unknown_fields(text, {"user": "Ada"})


def test_the_users_fields_are_there_and_do_not_take_the_programs() -> None:
    settings = Settings(user_name="Ada", fields=[Field("team", "Engines"), Field("date", "never")])
    values = field_values(settings, datetime(2026, 11, 2, 9))

    assert ("Monday, 2 November 2026", "Ada", "Engines") == (values["date"], values["user"], values["team"])
    assert values["os"]
    assert "the user" == field_values(Settings(), datetime(2026, 11, 2))["user"]


@given(st.text(), st.dictionaries(st.text(max_size=5), st.text(max_size=5)))
def test_text_without_fields_stays_as_it_is(text: str, values: dict[str, str]) -> None:
    without = text.replace("{{", "{ {")

    assert without == rendered(without, values)
