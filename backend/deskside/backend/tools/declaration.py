"""What a tool is: a function, and what its declaration says about it.

A tool is one file with one function marked `@tool(approval=…)`. The model reads its name, its docstring
and its parameters; the JSON Schema comes from the annotations. It returns text and raises ordinary
exceptions, whose message goes to the model. A plain function runs in a thread, an async one on the loop.
"""

from __future__ import annotations

import asyncio
import inspect
import typing
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Literal, cast

import msgspec

from deskside.backend.agent.events import ToolSpec

Approval = Literal["never", "ask", "always_ask"]
"""Whether the user is asked before the tool runs: never, until they allow it for good, or each time."""

Function = Callable[..., str] | Callable[..., Awaitable[str]]


class BadArguments(Exception):
    """What the model wrote is not what the tool takes. The text is for the model, to mend its call."""


@dataclass(frozen=True)
class Tool:
    """One tool. After `time_limit_s` its call is given up and the model is told so."""

    spec: ToolSpec
    approval: Approval
    time_limit_s: float
    function: Function
    decoder: msgspec.json.Decoder[msgspec.Struct]

    @property
    def name(self) -> str:
        return self.spec.name

    def read_arguments(self, text: str) -> msgspec.Struct:
        """Check the JSON text that a model wrote. Raises BadArguments."""
        try:
            # Some models write nothing at all for a tool without parameters.
            return self.decoder.decode(text.strip() or "{}")
        except (msgspec.MsgspecError, UnicodeEncodeError, RecursionError) as error:
            schema = msgspec.json.encode(self.spec.parameters).decode()
            raise BadArguments(
                f"{error}. The arguments of {self.name!r} must be one JSON object that fits {schema}"
            ) from error

    async def call(self, arguments: msgspec.Struct) -> str:
        """Run the tool. Raises whatever it raises, and TimeoutError after its time limit.

        A plain function cannot be interrupted: after the time limit, or when the run is stopped, its
        thread is left behind and its result dropped. A tool that can take long is async.
        """
        named = msgspec.structs.asdict(arguments)
        async with asyncio.timeout(self.time_limit_s):
            if inspect.iscoroutinefunction(self.function):
                return cast(str, await self.function(**named))
            return await asyncio.to_thread(cast(Callable[..., str], self.function), **named)


def tool(*, approval: Approval, time_limit_s: float = 30) -> Callable[[Function], Tool]:
    """Declare a function as a tool. Raises TypeError where a model could not be told how to call it."""

    def declare(function: Function) -> Tool:
        name = function.__name__
        description = inspect.getdoc(function)
        if not description:
            raise TypeError(f"tool {name!r} needs a docstring: the model reads it")
        arguments = _arguments(function)
        spec = ToolSpec(name, description, _schema(arguments))
        return Tool(spec, approval, time_limit_s, function, msgspec.json.Decoder(arguments))

    return declare


def _arguments(function: Function) -> type[msgspec.Struct]:
    """A struct with one field a parameter, so that msgspec both checks the call and writes its schema."""
    hints = typing.get_type_hints(function, include_extras=True)
    fields: list[tuple[str, type] | tuple[str, type, Any]] = []
    for name, parameter in inspect.signature(function).parameters.items():
        if name not in hints or parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            raise TypeError(f"tool {function.__name__!r}: parameter {name!r} needs a name and a type")
        has_default = parameter.default is not parameter.empty
        fields.append((name, hints[name], parameter.default) if has_default else (name, hints[name]))
    return msgspec.defstruct(function.__name__, fields, kw_only=True, forbid_unknown_fields=True)


def _schema(arguments: type[msgspec.Struct]) -> dict[str, Any]:
    """The struct's JSON Schema as one object: providers do not take a top-level `$ref`."""
    _, components = msgspec.json.schema_components([arguments], ref_template="#/$defs/{name}")
    schema = dict(components.pop(arguments.__name__))
    schema.pop("title", None)
    return schema | ({"$defs": components} if components else {})
