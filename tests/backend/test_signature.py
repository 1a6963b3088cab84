"""What is read off a tool's source: parameters from annotations, and problems as sentences."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deskside.backend.tools.signature import ToolDraft, draft


def one(parameter: str) -> ToolDraft:
    return draft(f'def tool({parameter}):\n    """Does it."""\n')


@pytest.mark.parametrize(
    ("annotation", "schema"),
    [
        ("str", {"type": "string"}),
        ("int", {"type": "integer"}),
        ("float", {"type": "number"}),
        ("bool", {"type": "boolean"}),
        ("list", {"type": "array"}),
        ("list[int]", {"type": "array", "items": {"type": "integer"}}),
        ("List[str]", {"type": "array", "items": {"type": "string"}}),
        ("list[list[str]]", {"type": "array", "items": {"type": "array", "items": {"type": "string"}}}),
        ("tuple[int, str]", {"type": "array"}),
        ("dict", {"type": "object"}),
        ("dict[str, float]", {"type": "object", "additionalProperties": {"type": "number"}}),
        ("Any", {}),
        ("typing.Any", {}),
        ("None", {"type": "null"}),
        ("'int'", {"type": "integer"}),
        ("str | None", {"anyOf": [{"type": "string"}, {"type": "null"}]}),
        ("int | float | None", {"anyOf": [{"type": "integer"}, {"type": "number"}, {"type": "null"}]}),
        ("Optional[int]", {"anyOf": [{"type": "integer"}, {"type": "null"}]}),
        ("typing.Union[int, str]", {"anyOf": [{"type": "integer"}, {"type": "string"}]}),
        ("Literal['c', 'f']", {"enum": ["c", "f"]}),
        ("Annotated[str, 'Where to look.']", {"type": "string", "description": "Where to look."}),
    ],
)
def test_an_annotation_becomes_a_schema(annotation: str, schema: dict[str, Any]) -> None:
    read = one(f"x: {annotation}")

    assert {
        "type": "object",
        "properties": {"x": schema},
        "required": ["x"],
        "additionalProperties": False,
    } == read.parameters
    assert [] == read.problems


@pytest.mark.parametrize(
    ("parameter", "schema"),
    [
        ("x: int = 3", {"type": "integer", "default": 3}),
        ("*, x: str = 'a'", {"type": "string", "default": "a"}),
        ("x: list = []", {"type": "array", "default": []}),
        ("x=2.5", {"type": "number", "default": 2.5}),
        ("x: str = DEFAULT", {"type": "string"}),
        ("x: float = 1e999", {"type": "number"}),
        ("x: str | None = None", {"anyOf": [{"type": "string"}, {"type": "null"}], "default": None}),
    ],
)
def test_what_has_a_default_may_be_left_out(parameter: str, schema: dict[str, Any]) -> None:
    read = one(parameter)

    assert {"x": schema} == read.parameters["properties"]
    assert [] == read.parameters["required"]


def test_the_docstring_describes_the_tool_and_its_parameters() -> None:
    read = draft(
        'def _help(): pass\n\ndef weather(city: str, days: int = 3, unit: str = "c") -> str:\n'
        '    """Look up the weather.\n\n    Args:\n        city: Where to look.\n'
        "        days (int): How many.\n\n"
        '    :param unit: c or f\n    """\n'
    )

    assert ("weather", "weather") == (read.name, read.function)
    assert read.description.startswith("Look up the weather.\n\nArgs:")
    assert ["Where to look.", "How many.", "c or f"] == [
        schema["description"] for schema in read.parameters["properties"].values()
    ]


@pytest.mark.parametrize(
    ("source", "problem"),
    [
        ("", "Write the tool as a function: def name(…)."),
        ("x = 1", "Write the tool as a function: def name(…)."),
        ("def f(", "Line 1: '(' was never closed."),
        ("def a(): 'd'\ndef b(): 'd'", "Which one is the tool, a and b?"),
        ("async def f(): 'd'", "Line 1: write def without async"),
        ("def f(): pass", "Describe the tool in the function's docstring"),
        ("def f(x): 'd'", "Line 1: say what 'x' is, for example x: str."),
        ("def f(x: Foo): 'd'", "Line 1: 'Foo' is no type that a model could be told about."),
        ("def f(*rest): 'd'", "Line 1: name the parameters instead of *rest."),
        ("def f(**rest): 'd'", "Line 1: name the parameters instead of **rest."),
        ("def f(x: int, /): 'd'", "Line 1: 'x' cannot be passed by its name"),
        ("def f():\n    'd'\n    yield 1", "Line 3: the sandbox has no yield"),
        ("import requests\ndef f(): 'd'", "Line 1: the sandbox has no module requests."),
        ("from os import *\ndef f(): 'd'", "Line 1: name what you import."),
        ("from .a import b\ndef f(): 'd'", "Line 1: there is nothing to import from “.”."),
        ("class A(B): pass\ndef f(): 'd'", "Line 1: the sandbox has no class inheritance."),
        ("def f():\n    'd'\n    x = 1\n    del x", "Line 4: the sandbox has no del."),
        ("(" * 100_000, "Line 1: too many nested parentheses."),
        ("-" * 90_000 + "1", "The code cannot be read"),
        ("x" * 100_001, "The code is longer than 100,000 characters."),
        ("def f(): 'd'\n\x00", "source code string cannot contain null bytes."),
        ("def f(x: " + " | ".join(["int"] * 700) + "): 'd'", ""),
    ],
)
def test_what_is_wrong_is_said_in_a_sentence_with_its_line(source: str, problem: str) -> None:
    problems = draft(source).problems

    assert not problem or any(said.startswith(problem) for said in problems), problems


def test_reading_a_source_never_runs_it() -> None:
    ran: list[int] = []
    read = draft(
        "import os\nos._exit(3)\n@os._exit\ndef f(x: os._exit(4) = os._exit(5)) -> os._exit(6):\n    'd'\n"
    )

    assert "f" == read.function
    assert [] == ran


@given(st.text(alphabet="def f(x:int=1,)*\n 'd'[]|.@", max_size=80))
def test_any_text_is_read_or_has_a_problem(source: str) -> None:
    read = draft(source)

    assert read.function or read.problems
