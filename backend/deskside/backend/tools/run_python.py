"""Python that the model wrote, run in the sandbox and shown to the user first."""

from __future__ import annotations

from typing import Annotated

import msgspec

from deskside.backend.tools.context import ToolContext
from deskside.backend.tools.declaration import Preview, tool

CODE_LIMIT = 20_000  # characters


def preview_run(context: ToolContext, code: str) -> Preview:
    """What the user is told; the code itself is among the arguments, which are shown in full."""
    lines = len(code.strip().splitlines())
    return Preview(
        f"Runs {lines} {'line' if lines == 1 else 'lines'} of Python in the sandbox. The code reaches no "
        "files, no network and none of your programs."
    )


# Longer than the sandbox's own limits, which say more about why.
@tool(approval="ask", effect="execute", time_limit_s=60, preview=preview_run, is_repeatable=True)
async def run_python(
    context: ToolContext, code: Annotated[str, msgspec.Meta(min_length=1, max_length=CODE_LIMIT)]
) -> str:
    """Run a Python program in a sandbox and return what it printed and the value of its last expression.

    Use it to work with data, numbers, dates and text when a single expression is not enough. Each call
    starts afresh: nothing is kept from an earlier one. It has 5 seconds and 64 MB. There are no files, no
    network, no clock, no input and no packages to install. Modules: math, json, re, datetime, collections,
    itertools, functools, decimal, random, dataclasses, hashlib, base64, copy, bisect, csv, tomllib, typing,
    unicodedata. It is a subset of Python: write functions and plain classes. There is no class inheritance
    (so no exception classes of your own), no `del`, no `yield`, no property, staticmethod or classmethod, no
    star import.
    """
    outcome = await context.services.sandbox.evaluate(code)
    return written(outcome.json, outcome.printed)


def written(result: str, printed: str) -> str:
    """A result in JSON and what was printed, as a model reads them."""
    if result == "null":
        return printed or "It ran, printed nothing and gave no value."
    return f"{printed}{'' if not printed or printed.endswith(chr(10)) else chr(10)}{result}"
