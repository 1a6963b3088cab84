"""The tools that the user wrote: Python text of theirs, run in the sandbox when a model calls it.

A tool reaches nothing but its arguments, unless the user gave it a capability: to read files in the folders
that they granted (`files`), to fetch pages (`web`), to know the time (`time`). Each is a function of this
program under the same rules as the built-in tools. What a tool returns counts as text from outside when it
could have read some: without `files` and `web` it can only work with what the model passed.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol

import msgspec

from deskside.backend.agent.events import Effect, ToolSpec
from deskside.backend.errors import InvalidRequest
from deskside.backend.events import ToolsChanged
from deskside.backend.store import settings
from deskside.backend.store import tools as rows
from deskside.backend.store.tools import Capability, NewTool, ToolChanges, ToolChoice, ToolRow
from deskside.backend.tools.declaration import (
    Approval,
    OutsideFailure,
    Preview,
    ToolOutput,
    bad_arguments,
)
from deskside.backend.tools.run_python import written
from deskside.backend.tools.sandbox import WAIT_LIMIT_S, CodeFailed, Grants, HostFunction, Sandbox
from deskside.backend.tools.signature import draft
from deskside.backend.tools.toolbox import ASK

if TYPE_CHECKING:
    from deskside.backend.event_buffer import EventBuffer
    from deskside.backend.store.database import Store
    from deskside.backend.tools.context import ToolContext

SCHEMA_LIMIT = 20_000  # characters of JSON
# Python's own expressions can take for ever on a text that a model chose; and a reference can go to a server.
FORBIDDEN_WORDS = ("pattern", "patternProperties", "$ref", "$dynamicRef")


class Files(Protocol):
    """Reading in the folders that the user granted. Raises OSError or AppError where it may not."""

    async def read_text(self, path: str) -> str: ...

    async def list_dir(self, path: str) -> list[str]: ...


class Web(Protocol):
    """Fetching public pages. Raises OSError, ValueError or AppError."""

    async def fetch_text(self, url: str) -> str: ...


def effect_of(capabilities: Sequence[Capability]) -> Effect:
    """What a tool with these does beyond the conversation. An address can carry anything away; reading and
    working things out changes nothing, and needs no more than that the user is asked once."""
    return "send" if "web" in capabilities else "read"


def parameters_validator(parameters: Mapping[str, Any]) -> Any:
    """What checks arguments against a JSON Schema of an object. Raises InvalidRequest where it is none, or
    one that could reach a network or take for ever. The first call takes 0.1 s: call it in a thread."""
    from jsonschema import Draft202012Validator
    from jsonschema.exceptions import SchemaError
    from referencing import Registry

    if len(msgspec.json.encode(parameters)) > SCHEMA_LIMIT:
        raise InvalidRequest("The parameters are too long.", hint=f"Use at most {SCHEMA_LIMIT:,} characters.")
    if parameters.get("type") != "object":
        raise InvalidRequest(
            "The parameters must be a JSON Schema of an object.", hint='Begin with {"type": "object", …}.'
        )
    for word in _words(parameters):
        if word in FORBIDDEN_WORDS:
            raise InvalidRequest(
                f"The parameters cannot use {word!r}.", hint="Check that in the tool's code instead."
            )
    try:
        Draft202012Validator.check_schema(parameters)
    except (SchemaError, RecursionError) as error:
        problem = error.message if isinstance(error, SchemaError) else "it is nested too deeply"
        raise InvalidRequest(
            f"The parameters are no JSON Schema: {problem}.", hint="Draft them from the code again."
        ) from error
    # Without a registry of its own the library would fetch what a reference names.
    return Draft202012Validator(parameters, registry=Registry())


def _words(schema: Any) -> list[str]:
    """The keywords of a schema; the names below `properties` are the user's own."""
    found: list[str] = []
    todo = [schema]
    while todo:
        part = todo.pop()
        if isinstance(part, list):
            todo.extend(part)
        elif isinstance(part, Mapping):
            found.extend(part)
            for word, value in part.items():
                if word in ("properties", "$defs") and isinstance(value, Mapping):
                    todo.extend(value.values())
                elif word not in ("default", "enum", "const", "examples"):
                    todo.append(value)
    return found


def problem_with(validator: Any, arguments: Any) -> str | None:
    """Why these arguments do not fit, in one sentence; None where they do."""
    try:
        error = next(iter(validator.iter_errors(arguments)), None)
    except RecursionError:
        return "they are nested too deeply"
    return None if error is None else f"{error.message[:500]} - at `{error.json_path}`"


@dataclass(frozen=True)
class UserTool:
    """One tool of the user's, as a model is offered it."""

    spec: ToolSpec
    approval: Approval
    effect: Effect
    source: str
    function: str
    grants: Grants
    capabilities: Sequence[Capability]
    validator: Any
    sandbox: Sandbox
    # Longer than the sandbox's own limits, which say more about why.
    time_limit_s: float = WAIT_LIMIT_S + 15

    @property
    def is_repeatable(self) -> bool:
        return not self.capabilities

    def read_arguments(self, text: str) -> dict[str, Any]:
        """Check the JSON text that a model wrote. Raises BadArguments."""
        try:
            arguments = msgspec.json.decode(text.strip() or "{}")
        except (msgspec.MsgspecError, UnicodeEncodeError, RecursionError) as error:
            raise bad_arguments(self.spec, str(error)) from error
        problem = problem_with(self.validator, arguments)
        if problem is not None:
            raise bad_arguments(self.spec, problem)
        return arguments  # type: ignore[no-any-return]  # the schema is that of an object

    async def call(self, context: ToolContext, arguments: dict[str, Any]) -> ToolOutput:
        """Run the tool's code. Raises CodeFailed, which says why and where; OutsideFailure where what the
        code was reading may be part of that."""
        could_read = "files" in self.capabilities or "web" in self.capabilities
        try:
            async with asyncio.timeout(self.time_limit_s):
                outcome = await self.sandbox.call(self.source, self.function, arguments, self.grants)
        except CodeFailed as error:
            if not could_read:
                raise
            raise OutsideFailure(str(error), "user_tool", self.spec.name) from error
        result = json.loads(outcome.json)
        text = result if isinstance(result, str) else outcome.json
        if outcome.printed:
            text = written(text, outcome.printed)
        return ToolOutput(text, "user_tool", self.spec.name, is_outside=could_read)

    async def preview(self, context: ToolContext, arguments: dict[str, Any]) -> Preview:
        """What a call would do."""
        return Preview(f"Runs your tool {self.spec.name} in the sandbox. {reach_of(self.capabilities)}")


def reach_of(capabilities: Sequence[Capability]) -> str:
    """What a tool with these may reach, in a sentence."""
    words = {
        "files": "read files in the folders you granted",
        "web": "fetch web pages",
        "time": "know the time",
    }
    may = [words[each] for each in ("files", "web", "time") if each in capabilities]
    return f"It may {' and '.join(may)}." if may else "It reaches no files and no network."


class TryOut(msgspec.Struct, frozen=True):
    """A run on the test bench. `result` is JSON text, None where there is none; `line` is where it went
    wrong, None where no line of the code is at fault."""

    ok: bool
    result: str | None
    printed: str
    error: str
    duration_ms: float
    line: int | None


class UnfinishedTool(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A tool that is being written, as the page holds it: `parameters` is text that need not be JSON yet.

    `replaces` is the name of the tool that this is another version of, None for a new one; `own` says which
    fields no longer follow the code.
    """

    replaces: str | None
    source: str
    name: str
    description: str
    category: str
    parameters: str
    capabilities: list[Capability]
    own: list[Literal["name", "description", "parameters"]]


UNFINISHED = "unfinished_tool"


class UserTools:
    """The user's tools, and every change of a tool's row. Used from the backend's loop only."""

    def __init__(
        self,
        store: Store,
        events: EventBuffer,
        sandbox: Sandbox,
        files: Files,
        web: Web,
    ) -> None:
        self._store = store
        self._events = events
        self._sandbox = sandbox
        self._files = files
        self._web = web
        self._tools: list[UserTool] | None = None
        self._choices: Mapping[str, ToolChoice] | None = None
        self._changes = 0

    async def tools(self) -> list[UserTool]:
        """Those that are switched on, ready to be called. Kept until one changes."""
        if self._tools is None:
            found = [row for row in await self._store.read(rows.listed, "user") if row.is_enabled]
            # Only who has tools pays for the library that checks their arguments.
            self._tools = await asyncio.to_thread(self._built, found) if found else []
        return self._tools

    async def choices(self) -> Mapping[str, ToolChoice]:
        """What the user chose about each tool, of any kind. Kept until something changes."""
        if self._choices is not None:
            return self._choices
        changes = self._changes
        found = await self._store.read(rows.choices)
        if changes == self._changes:  # else they were read just before somebody changed them
            self._choices = found
        return found

    async def change(self, name: str, changes: ToolChanges) -> ToolRow:
        """Change when a tool asks and whether it is on. Raises NotFound."""
        return self._changed(await self._store.write(rows.change, name, changes))

    async def create(self, tool: NewTool) -> ToolRow:
        """Keep a new tool. Raises InvalidRequest, and Conflict where the name is taken."""
        await self._check(tool)
        return self._changed(await self._store.write(rows.create, tool, effect_of(tool.capabilities)))

    async def update(self, name: str, tool: NewTool) -> ToolRow:
        """Replace a tool; agents that use it follow its new name. Raises as `create` does, and NotFound."""
        await self._check(tool)
        return self._changed(await self._store.write(rows.update, name, tool, effect_of(tool.capabilities)))

    async def delete(self, name: str) -> None:
        """Forget a tool. Raises NotFound."""
        await self._store.write(rows.delete, name)
        self.forget()

    async def try_out(
        self,
        source: str,
        parameters: Mapping[str, Any],
        arguments: Mapping[str, Any],
        capabilities: Sequence[Capability],
    ) -> TryOut:
        """Run a source as the tool it would be, without keeping it. Raises InvalidRequest for parameters that
        are no schema; what goes wrong in the code is in the answer."""
        validator = await asyncio.to_thread(parameters_validator, parameters)
        problem = problem_with(validator, arguments)
        function = draft(source).function
        if problem is not None:
            return TryOut(False, None, "", f"The arguments do not fit the parameters: {problem}.", 0, None)
        try:
            if not function:
                # The worker says better than a draft what is wrong with the code.
                await self._sandbox.evaluate(source)
                raise CodeFailed(draft(source).problems[0])
            outcome = await self._sandbox.call(source, function, arguments, self._grants(capabilities))
        except CodeFailed as error:
            return TryOut(False, None, error.printed, error.message, error.duration_ms, error.line)
        return TryOut(True, outcome.json, outcome.printed, "", outcome.duration_ms, None)

    async def unfinished(self) -> UnfinishedTool | None:
        """What was being written when the page was last there."""
        stored = (await self._store.read(settings.load)).get(UNFINISHED)
        try:
            return msgspec.convert(stored, UnfinishedTool | None)
        except msgspec.ValidationError:
            return None  # another version's

    async def keep_unfinished(self, tool: UnfinishedTool | None) -> None:
        await self._store.write_soon(settings.save, {UNFINISHED: msgspec.to_builtins(tool)})

    def forget(self) -> None:
        """Rows of tools changed: read them again, and tell the page."""
        self._tools = None
        self._choices = None
        self._changes += 1
        self._events.publish(ToolsChanged())

    def _changed(self, row: ToolRow) -> ToolRow:
        self.forget()
        return row

    async def _check(self, tool: NewTool) -> None:
        if tool.name.startswith(ASK):
            raise InvalidRequest(
                f"Names that begin with {ASK!r} belong to agents that are asked as tools.",
                hint="Give this tool another name.",
            )
        read = draft(tool.source)
        if not read.function:
            raise InvalidRequest(read.problems[0], hint="Correct the code, then save again.")
        await asyncio.to_thread(parameters_validator, tool.parameters)

    def _built(self, found: Sequence[ToolRow]) -> list[UserTool]:
        return [
            UserTool(
                ToolSpec(row.name, row.description, row.parameters),
                row.approval,
                row.effect,
                row.source or "",
                draft(row.source or "").function,
                self._grants(row.capabilities),
                row.capabilities,
                parameters_validator(row.parameters),
                self._sandbox,
            )
            for row in found
        ]

    def _grants(self, capabilities: Sequence[Capability]) -> Grants:
        functions: dict[str, HostFunction] = {}
        if "files" in capabilities:
            functions |= {"read_text": self._files.read_text, "list_dir": self._files.list_dir}
        if "web" in capabilities:
            functions["fetch_text"] = self._web.fetch_text
        return Grants(functions, has_clock="time" in capabilities)
