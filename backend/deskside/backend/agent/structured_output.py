"""Whether an answer fits the JSON Schema that it should."""

from __future__ import annotations

import asyncio
import re
from typing import Any

import msgspec

# Models like to put JSON into a fence, also when they are asked not to.
_fenced = re.compile(r"\s*```(?:json)?\s*\n(.*)\n\s*```\s*", re.DOTALL)
LONGEST_PROBLEM = 600

ASK = "Answer with nothing but JSON that fits this JSON Schema: {schema}"
REPAIR = (
    "Your answer does not fit the JSON Schema it has to fit: {problem} "
    "Answer again with nothing but JSON that fits."
)


def asking_for(schema: dict[str, Any], instructions: str) -> str:
    """Instructions for a model that can be told of a schema in words only."""
    ask = ASK.format(schema=msgspec.json.encode(schema).decode())
    return f"{instructions}\n\n{ask}" if instructions.strip() else ask


async def problem_with(answer: str, schema: dict[str, Any]) -> str | None:
    """What is wrong with an answer, as a sentence that a model can act on; None where it fits.

    In a thread: jsonschema takes 0.1 s to import the first time, and a schema can be slow to check.
    """
    return await asyncio.to_thread(_problem_with, answer, schema)


def _problem_with(answer: str, schema: dict[str, Any]) -> str | None:
    fenced = _fenced.fullmatch(answer)
    text = fenced[1] if fenced else answer
    try:
        value = msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeEncodeError, RecursionError) as error:
        return f"it is not JSON ({error})."
    from jsonschema import Draft202012Validator

    fault = next(iter(Draft202012Validator(schema).iter_errors(value)), None)
    if fault is None:
        return None
    place = fault.json_path.removeprefix("$").removeprefix(".")
    problem = f"in {place}, {fault.message}" if place else fault.message
    return problem[:LONGEST_PROBLEM].rstrip(".") + "."
