"""What a tool is: a function, and what its declaration says about it.

A tool is one file with one function marked `@tool(approval=…, effect=…)`. The model reads its name, its
docstring and its parameters; the JSON Schema comes from the annotations. It returns text (or a `ToolOutput`,
which also says where the text comes from) and raises ordinary exceptions, whose message goes to the model. A
plain function runs in a thread, an async one on the loop.

A first parameter annotated `ToolContext` is filled in by the program and is not part of the schema: it is how
a tool reaches the store, the settings and the call it runs for (context.py).
"""

from __future__ import annotations

import asyncio
import inspect
import typing
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Literal, Protocol, cast

import msgspec

from deskside.backend.agent.events import Effect, Origin, ToolSpec
from deskside.backend.tools.context import ToolContext

Approval = Literal["never", "ask", "always_ask"]
"""Whether the user is asked before the tool runs: never, until they allow it for good, or each time."""

# What a tool that was not declared otherwise returns was worked out by this program.
OWN: Origin = "tool"


class ToolOutput(msgspec.Struct, frozen=True):
    """What a tool found, and where it comes from. `source` is what the user is shown of it: an address, a
    path, a server's name. `is_outside` None leaves it to the origin whether the text is trusted."""

    text: str
    origin: Origin = OWN
    source: str = ""
    is_outside: bool | None = None


class OutsideFailure(Exception):
    """A tool failed, and others may have written what it says of that: a server, a page that the user's code
    was reading. What any other exception says is taken for this program's own words."""

    def __init__(self, text: str, origin: Origin, source: str = "") -> None:
        super().__init__(text)
        self.origin = origin
        self.source = source


class Preview(msgspec.Struct, frozen=True):
    """What a call would do, for the user who is asked about it. `summary` is a sentence ("Writes 12 lines to
    /home/ada/plan.md."), `diff` a unified diff where a file would change."""

    summary: str
    diff: str = ""


Result = str | ToolOutput
Function = Callable[..., Result] | Callable[..., Awaitable[Result]]
Previewer = Callable[..., Preview] | Callable[..., Awaitable[Preview]]


class BadArguments(Exception):
    """What the model wrote is not what the tool takes. The text is for the model, to mend its call."""


class Tool(Protocol):
    """Something that a model can ask for. Whoever runs it has read the arguments with `read_arguments`."""

    @property
    def spec(self) -> ToolSpec: ...

    @property
    def approval(self) -> Approval: ...

    @property
    def effect(self) -> Effect: ...

    @property
    def time_limit_s(self) -> float: ...

    @property
    def is_repeatable(self) -> bool:
        """Whether the same arguments give the same result, without an effect, a clock or the network: a
        replay runs such a tool again, and takes the result of any other from the recording."""

    def read_arguments(self, text: str) -> Any:
        """Check the JSON text that a model wrote. Raises BadArguments."""

    async def call(self, context: ToolContext, arguments: Any) -> ToolOutput:
        """Run the tool. Raises whatever it raises, and TimeoutError after its time limit."""

    async def preview(self, context: ToolContext, arguments: Any) -> Preview:
        """What a call would do. Has no effect; raises whatever looking raises."""


@dataclass(frozen=True)
class FunctionTool:
    """A tool that is a Python function of this program. After `time_limit_s` its call is given up and the
    model is told so."""

    spec: ToolSpec
    approval: Approval
    effect: Effect
    time_limit_s: float
    function: Function
    decoder: msgspec.json.Decoder[msgspec.Struct]
    wants_context: bool
    previewer: Previewer | None = None
    is_repeatable: bool = False

    @property
    def name(self) -> str:
        return self.spec.name

    def read_arguments(self, text: str) -> msgspec.Struct:
        """Check the JSON text that a model wrote. Raises BadArguments."""
        try:
            # Some models write nothing at all for a tool without parameters.
            return self.decoder.decode(text.strip() or "{}")
        except (msgspec.MsgspecError, UnicodeEncodeError, RecursionError) as error:
            raise bad_arguments(self.spec, str(error)) from error

    async def call(self, context: ToolContext, arguments: msgspec.Struct) -> ToolOutput:
        """Run the tool. Raises whatever it raises, and TimeoutError after its time limit.

        A plain function cannot be interrupted: after the time limit, or when the run is stopped, its
        thread is left behind and its result dropped. A tool that can take long is async.
        """
        async with asyncio.timeout(self.time_limit_s):
            result = await self._run(self.function, context, arguments)
        return result if isinstance(result, ToolOutput) else ToolOutput(cast(str, result))

    async def preview(self, context: ToolContext, arguments: msgspec.Struct) -> Preview:
        """What a call would do, in the tool's own words; nothing where it has none."""
        if self.previewer is None:
            return Preview("")
        async with asyncio.timeout(self.time_limit_s):
            return cast(Preview, await self._run(self.previewer, context, arguments))

    async def _run(
        self, function: Callable[..., Any], context: ToolContext, arguments: msgspec.Struct
    ) -> Any:
        named = msgspec.structs.asdict(arguments)
        positional = (context,) if self.wants_context else ()
        if inspect.iscoroutinefunction(function):
            return await function(*positional, **named)
        return await asyncio.to_thread(function, *positional, **named)


def bad_arguments(spec: ToolSpec, problem: str) -> BadArguments:
    """What tells a model how to mend a call of this tool."""
    schema = msgspec.json.encode(spec.parameters).decode()
    return BadArguments(
        f"{problem}. The arguments of {spec.name!r} must be one JSON object that fits {schema}"
    )


def tool(
    *,
    approval: Approval,
    effect: Effect = "read",
    time_limit_s: float = 30,
    preview: Previewer | None = None,
    is_repeatable: bool = False,
) -> Callable[[Function], FunctionTool]:
    """Declare a function as a tool. `preview` takes what the function takes and has no effect;
    `is_repeatable` as for `Tool`.

    Raises TypeError where a model could not be told how to call it.
    """

    def declare(function: Function) -> FunctionTool:
        name = function.__name__
        description = inspect.getdoc(function)
        if not description:
            raise TypeError(f"tool {name!r} needs a docstring: the model reads it")
        arguments, wants_context = _arguments(function)
        spec = ToolSpec(name, description, _schema(arguments))
        decoder = msgspec.json.Decoder(arguments)
        return FunctionTool(
            spec, approval, effect, time_limit_s, function, decoder, wants_context, preview, is_repeatable
        )

    return declare


def _arguments(function: Function) -> tuple[type[msgspec.Struct], bool]:
    """A struct with one field a parameter, so that msgspec both checks the call and writes its schema; and
    whether the function also wants the context."""
    hints = typing.get_type_hints(function, include_extras=True)
    fields: list[tuple[str, type] | tuple[str, type, Any]] = []
    wants_context = False
    for place, (name, parameter) in enumerate(inspect.signature(function).parameters.items()):
        if name not in hints or parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            raise TypeError(f"tool {function.__name__!r}: parameter {name!r} needs a name and a type")
        if hints[name] is ToolContext:
            if place:
                raise TypeError(f"tool {function.__name__!r}: the ToolContext must be the first parameter")
            wants_context = True
            continue
        has_default = parameter.default is not parameter.empty
        fields.append((name, hints[name], parameter.default) if has_default else (name, hints[name]))
    struct = msgspec.defstruct(function.__name__, fields, kw_only=True, forbid_unknown_fields=True)
    return struct, wants_context


def _schema(arguments: type[msgspec.Struct]) -> dict[str, Any]:
    """The struct's JSON Schema as one object: providers do not take a top-level `$ref`."""
    _, components = msgspec.json.schema_components([arguments], ref_template="#/$defs/{name}")
    schema = dict(components.pop(arguments.__name__))
    schema.pop("title", None)
    return schema | ({"$defs": components} if components else {})
