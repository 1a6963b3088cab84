"""Commands and their one dispatch.

A command is an async function marked with `@command`. Its first parameter says what it needs by its
annotation (`App` or `Bridge`), its second, if any, is a msgspec struct that says what it takes.
Everything else is derived: the name from module and function, the decoder, the TypeScript client.

Invariants
  - `dispatch` never raises: every call gets exactly one reply, also when it is cancelled.
  - Bytes are checked once, here; a command may trust its params. Results are made into bytes here too, so
    that one that cannot be is a failed call and not a call without a reply.
  - A traceback never crosses the bridge; where it came from is logged, and kept in the error log, under
    the command's name and request id.
"""

from __future__ import annotations

import asyncio
import inspect
import time
import typing
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from types import ModuleType
from typing import Any, ClassVar, TypeVar, get_args, get_origin

import msgspec
from loguru import logger

from deskside.backend.app import App
from deskside.backend.errors import AppError, Cancelled, Internal, MalformedRequest, NotFound
from deskside.backend.log import command_name, note_call, place, request_id
from deskside.backend.metrics.timings import Timings
from deskside.backend.store import errors
from deskside.bridge.desktop import Desktop

# What the page asks by itself, to show what it shows: no answer to "what was the user doing?".
BY_ITSELF = frozenset(
    [
        "available",
        "current",
        "delegated",
        "draft",
        "get",
        "integration",
        "list",
        "logs",
        "of_conversation",
        "overview",
        "page",
        "pinned",
        "save_draft",
        "saved_draft",
        "servers",
        "shown",
        "spent",
        "state",
        "statistics",
        "status",
        "totals",
        "waiting",
        "written",
    ]
)

F = TypeVar("F", bound=Callable[..., Any])


def command(function: F) -> F:
    """Mark a function as a command. It is found by `Registry`, which gets its module in a list."""
    function.__command__ = True  # type: ignore[attr-defined]
    return function


@dataclass(frozen=True)
class Command:
    """One command, read off its function's signature.

    `returns` is the type of the reply, or of each item for a stream.
    """

    name: str
    function: Callable[..., Any]
    wants: type
    params: type | None
    returns: Any
    is_stream: bool
    doc: str
    decoder: msgspec.json.Decoder[Any] | None

    def encoded(self, result: Any, *, is_checked: bool) -> msgspec.Raw:
        """A result, or one item of a stream, as JSON. `is_checked` raises where it is not of the type that
        the signature promises."""
        encoded = _encode(result)
        if is_checked:
            msgspec.json.decode(encoded, type=self.returns)
        return msgspec.Raw(encoded)


@dataclass(frozen=True)
class Bridge:
    """What a command may use that is not the application itself."""

    app: App
    registry: Registry
    desktop: Desktop
    timings: Timings


class Failure(msgspec.Struct, frozen=True, omit_defaults=True):
    """An error as it crosses the bridge. `isMalformed`, of a request that could not be read, is only there
    where it is true."""

    code: str
    message: str
    hint: str
    retryable: bool
    requestId: str
    isMalformed: bool = False

    @classmethod
    def of(cls, error: AppError) -> Failure:
        return cls(
            error.code,
            error.message,
            error.hint,
            error.retryable,
            request_id.get(),
            isinstance(error, MalformedRequest),
        )


Reply = Callable[[msgspec.Raw], Awaitable[None]]
_encode = msgspec.json.Encoder().encode


class Registry:
    """All commands of the listed modules, by name."""

    checks_results: ClassVar[bool] = False
    """Whether results are held against the signatures. All tests switch it on; in use it would only cost."""

    def __init__(self, modules: Iterable[ModuleType]) -> None:
        commands: dict[str, Command] = {}
        for module in modules:
            for function in vars(module).values():
                if getattr(function, "__command__", False) and function.__module__ == module.__name__:
                    read = read_command(function)
                    commands[read.name] = read
        self.commands: Mapping[str, Command] = commands

    async def dispatch(
        self, bridge: Bridge, name: str, params: bytes | msgspec.Raw, on_item: Reply | None = None
    ) -> msgspec.Raw | Failure:
        """Run one command and return its result as JSON, or the `Failure` to send instead.

        A stream's items go to `on_item` one by one and its result is null. The request id must have
        been set by the caller (`log.request_id`).
        """
        command_name.set(name)
        started = time.perf_counter()
        if name in self.commands and _is_of_the_user(name):
            note_call(name)
        try:
            outcome = await self._outcome(bridge, name, params, on_item)
        except asyncio.CancelledError:
            outcome = Failure.of(Cancelled(f"{name} was cancelled"))
        found = self.commands.get(name)
        if found is None or not found.is_stream:  # that goes on for as long as its reader likes
            timed = "(unknown)" if found is None else name
            failure = outcome.code if isinstance(outcome, Failure) else ""
            bridge.timings.observe(timed, time.perf_counter() - started, failure)
        return outcome

    async def _outcome(
        self, bridge: Bridge, name: str, params: bytes | msgspec.Raw, on_item: Reply | None
    ) -> msgspec.Raw | Failure:
        found = self.commands.get(name)
        try:
            if found is None:
                raise NotFound(
                    f"no command named {name!r}",
                    hint="Check the name. If the window asked for it, reload the window.",
                )
            return await self._run(found, bridge, params, on_item)
        except AppError as error:
            logger.info("{} failed: {}", name, error.code)
            return Failure.of(error)
        except Exception as error:
            # The exception's text can hold a prompt or a path; only its type and place are logged.
            logger.bind(is_kept=True).opt(exception=True).error("{} failed", name)
            fault = Internal(f"{name} failed because of a fault in Deskside.")
            row = await errors.keep(bridge.app.store, "command", fault, name, place(error))
            if row is not None:
                bridge.app.faults.tell(row)
            return Failure.of(fault)

    async def _run(
        self, found: Command, bridge: Bridge, params: bytes | msgspec.Raw, on_item: Reply | None
    ) -> msgspec.Raw:
        arguments: list[Any] = [bridge.app if found.wants is App else bridge]
        is_empty = bytes(params).strip() in (b"", b"null")
        if found.decoder is not None:
            try:
                arguments.append(found.decoder.decode(b"{}" if is_empty else params))
            except msgspec.ValidationError as error:
                raise MalformedRequest(f"{found.name}: {error}") from error
            except (msgspec.DecodeError, UnicodeDecodeError) as error:
                raise MalformedRequest(f"{found.name}: the parameters are not JSON") from error
        elif not is_empty and bytes(params).strip() != b"{}":
            raise MalformedRequest(f"{found.name} takes no parameters")
        if not found.is_stream:
            result = await found.function(*arguments)
            return found.encoded(result, is_checked=self.checks_results)
        if on_item is None:
            raise MalformedRequest(f"{found.name} is a stream: call it over the WebSocket")
        # Closed at once where the page goes away: what it holds open it gives back then.
        async with aclosing(found.function(*arguments)) as items:
            async for item in items:
                await on_item(found.encoded(item, is_checked=self.checks_results))
        return msgspec.Raw(b"null")


def _is_of_the_user(name: str) -> bool:
    domain, _, verb = name.partition(".")
    return domain != "diagnostics" and verb not in BY_ITSELF


def read_command(function: Callable[..., Any]) -> Command:
    """Derive a command from its signature. Raises TypeError where it cannot be one."""
    where = f"{function.__module__}.{function.__qualname__}"
    hints = typing.get_type_hints(function, include_extras=True)
    parameters = list(inspect.signature(function).parameters)
    if not parameters or hints.get(parameters[0]) not in (App, Bridge):
        raise TypeError(f"{where}: the first parameter must be an App or a Bridge")
    if len(parameters) > 2:
        raise TypeError(f"{where}: a command takes at most one params struct")
    params = hints[parameters[1]] if len(parameters) == 2 else None
    if params is not None and not _is_strict_struct(params):
        raise TypeError(f"{where}: params must be a msgspec.Struct with forbid_unknown_fields=True")
    if "return" not in hints:
        raise TypeError(f"{where}: the return type is missing")
    doc = inspect.getdoc(function) or ""
    if not doc:
        raise TypeError(f"{where}: a command needs a docstring; it becomes the client's documentation")
    returns = hints["return"]
    origin = get_origin(returns)
    is_stream = isinstance(origin, type) and issubclass(origin, AsyncIterator)
    return Command(
        name=f"{function.__module__.rsplit('.', 1)[-1]}.{function.__name__}",
        function=function,
        wants=hints[parameters[0]],
        params=params,
        returns=get_args(returns)[0] if is_stream else returns,
        is_stream=is_stream,
        doc=doc,
        decoder=None if params is None else msgspec.json.Decoder(params),
    )


def _is_strict_struct(params: Any) -> bool:
    return (
        isinstance(params, type)
        and issubclass(params, msgspec.Struct)
        and params.__struct_config__.forbid_unknown_fields
    )
