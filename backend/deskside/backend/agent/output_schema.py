"""Which JSON Schemas an agent's answers may be held against.

A schema can come from a file that somebody else wrote, and is then used on what a model says: nothing in it
may reach outside or take for ever.
"""

from __future__ import annotations

from typing import Any

from deskside.backend.errors import InvalidRequest

DEEPEST = 40
# Python's regular expressions have no time limit: one that is made badly stops the whole program.
REFUSED = {"pattern": "a pattern", "patternProperties": "patterns"}
REFERENCES = ("$ref", "$dynamicRef", "$recursiveRef")


def check_output_schema(schema: dict[str, Any]) -> None:
    """Raises InvalidRequest for what is no JSON Schema (2020-12) of an object, refers to another document,
    holds a pattern, or is nested too deeply. Imports `jsonschema`: takes 100 ms the first time."""
    _check_part(schema, DEEPEST)
    from jsonschema import Draft202012Validator, SchemaError

    try:
        Draft202012Validator.check_schema(schema)
    except SchemaError as error:
        place = "/".join(map(str, error.absolute_path)) or "its top"
        raise _refused(f"is not a JSON Schema: {error.message[:200]} (at {place})") from error
    if schema.get("type") != "object":
        raise _refused('must describe an object: begin it with {"type": "object"}')


def _check_part(part: Any, depth: int) -> None:
    if depth == 0:
        raise _refused("is nested too deeply")
    if isinstance(part, list):
        for each in part:
            _check_part(each, depth - 1)
    elif isinstance(part, dict):
        for name, value in part.items():
            # A property may be called "pattern"; then its value is a schema.
            if name in REFUSED and not (name == "pattern" and isinstance(value, dict | bool)):
                raise _refused(f"holds {REFUSED[name]}, which is not allowed")
            if name in REFERENCES and not (isinstance(value, str) and value.startswith("#")):
                raise _refused(f"refers to another document with {name!r}")
            _check_part(value, depth - 1)


def _refused(problem: str) -> InvalidRequest:
    return InvalidRequest(f"The output schema {problem}.", hint="Change the schema, or take it out.")
