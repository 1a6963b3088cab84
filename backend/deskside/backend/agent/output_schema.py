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

# What all providers that hold a model to a schema understand.
STRICT_KEYWORDS = {
    *("type", "properties", "required", "additionalProperties", "items", "enum", "const", "anyOf"),
    *("$ref", "$defs", "description", "title"),
}


def allows_strict(schema: dict[str, Any], *, may_have_optional: bool) -> bool:
    """Whether a provider can hold a model to every word of a schema: it describes closed objects in plain
    keywords. `may_have_optional` says that a property need not be required."""
    return _is_strict(schema, may_have_optional) and "anyOf" not in schema


def _is_strict(part: Any, may_have_optional: bool) -> bool:
    if not isinstance(part, dict):
        return False
    properties = part.get("properties", {})
    if not part.keys() <= STRICT_KEYWORDS:
        return False
    if "object" in (part.get("type"), *_list(part.get("type"))) or properties:
        if part.get("additionalProperties") is not False:
            return False
        if not may_have_optional and properties.keys() != set(_list(part.get("required"))):
            return False
    inner = [*properties.values(), *part.get("$defs", {}).values(), *_list(part.get("anyOf"))]
    inner += [part["items"]] if "items" in part else []
    return all(_is_strict(each, may_have_optional) for each in inner)


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


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
