"""Which schemas a provider can be made to hold a model to, word for word."""

from __future__ import annotations

from typing import Any

import pytest

from deskside.backend.agent.output_schema import allows_strict

TEXT = {"type": "string"}


def closed(**properties: Any) -> dict[str, Any]:
    required = list(properties)
    return {"type": "object", "properties": properties, "required": required, "additionalProperties": False}


@pytest.mark.parametrize(
    ("schema", "is_strict", "is_strict_with_optional"),
    [
        (closed(city=TEXT), True, True),
        (closed(cities={"type": "array", "items": closed(name=TEXT)}), True, True),
        (closed(city={"anyOf": [TEXT, {"type": "null"}]}), True, True),
        ({**closed(city={"$ref": "#/$defs/City"}), "$defs": {"City": closed(name=TEXT)}}, True, True),
        ({**closed(city=TEXT), "required": []}, False, True),
        ({"type": "object", "properties": {"city": TEXT}}, False, False),
        (closed(place={"type": "object"}), False, False),
        (closed(place={"type": ["object", "null"], "properties": {"city": TEXT}}), False, False),
        (closed(cities={"type": "array", "items": {"type": "object"}}), False, False),
        (closed(city={"type": "string", "minLength": 1}), False, False),
        (closed(city=True), False, False),
        ({**closed(), "anyOf": [closed(city=TEXT)]}, False, False),
        ({**closed(city=TEXT), "allOf": [{}]}, False, False),
    ],
)
def test_only_closed_objects_in_plain_keywords_are_strict(
    schema: dict[str, Any], is_strict: bool, is_strict_with_optional: bool
) -> None:
    assert is_strict == allows_strict(schema, may_have_optional=False)
    assert is_strict_with_optional == allows_strict(schema, may_have_optional=True)
