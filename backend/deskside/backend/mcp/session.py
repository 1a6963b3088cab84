"""One conversation with a server, through the official SDK, which takes half a second to import.

Older servers are greeted with `initialize`, those of 2026 with `server/discover`; both can ask the user
something in the middle of a call (elicitation). What they cannot have: our model (sampling) and our folders
(roots); neither is offered, and both are refused.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mcp_types as types
import msgspec
from mcp.client.session import ClientSession
from mcp.client.subscriptions import ListenNotSupportedError, SubscriptionLost, listen
from mcp.shared.exceptions import MCPError
from pydantic import ValidationError

from deskside.backend.errors import AppError
from deskside.backend.mcp.calls import Calls, Elicit
from deskside.backend.mcp.failures import (
    FAILURES,
    FAILURES_OF_STREAMS,
    EndedAtDiscovery,
    SignInNeeded,
    is_end,
)
from deskside.backend.mcp.http import Answers, reach_server
from deskside.backend.mcp.oauth import SignedIn, SignIn
from deskside.backend.mcp.results import prompt_text, resource_text
from deskside.backend.mcp.rows import McpPrompt, McpResource, PromptArgument, ToolDefinition
from deskside.backend.mcp.server_secrets import Access
from deskside.backend.mcp.stdio import run_program
from deskside.backend.network.gate import Gate
from deskside.backend.network.purpose import purpose
from deskside.backend.store.mcp_servers import StoredServer
from deskside.backend.version import VERSION

# A list or a text that the page asked for. A call of a tool has a limit of its own.
ANSWER_S = 30.0
MOST_PAGES = 20
MOST_TOOLS = 300
MOST_LISTED = 1_000
LONGEST_DEFINITION = 60_000  # bytes of JSON; a model reads all of it with every step


@dataclass(frozen=True)
class Ears:
    """Whom a session tells what it hears. `on_end` may be called more than once."""

    on_line: Callable[[str, str], None]
    on_end: Callable[[str], None]
    on_news: Callable[[], None]


class _Client(ClientSession):
    async def validate_tool_result(self, name: str, result: types.CallToolResult) -> None:
        """Nothing. The schema is the server's, and can hold a pattern that takes hours."""


class Session:
    """An open conversation. Made by `open_session`; its methods raise FAILURES."""

    def __init__(self, server: str, ears: Ears) -> None:
        self._server = server
        self._ears = ears
        self._calls = Calls(server, ears.on_end)
        self._client: _Client
        self.is_refused = False
        """The server no longer takes the user for who they are."""

    @property
    def title(self) -> str:
        """What the server calls itself; empty where it does not."""
        info = self._client.server_info
        return f"{info.title or info.name} {info.version}".strip() if info is not None else ""

    @property
    def has_resources(self) -> bool:
        return self._capabilities.resources is not None

    @property
    def has_prompts(self) -> bool:
        return self._capabilities.prompts is not None

    @property
    def _capabilities(self) -> types.ServerCapabilities:
        return self._client.server_capabilities or types.ServerCapabilities()

    # -- tools --

    async def tools(self) -> list[ToolDefinition]:
        """What it offers, by the server's names. What is no usable definition is left out, and logged."""
        if self._capabilities.tools is None:
            return []
        found: dict[str, ToolDefinition] = {}
        async for tool in self._listed(lambda page: self._client.list_tools(params=page), "tools"):
            definition = _definition(tool)
            problem = _problem(definition)
            if problem or definition.name in found or len(found) >= MOST_TOOLS:
                why = problem or "there are too many tools, or two of this name"
                self._ears.on_line("deskside", f"The tool {tool.name[:100]!r} is left out: {why}.")
                continue
            found[definition.name] = definition
        return list(found.values())

    async def call(self, name: str, arguments: dict[str, Any], elicit: Elicit | None) -> str:
        """Call a tool, as `Calls.call`."""
        with purpose("mcp", self._server):
            return await self._calls.call(self._client, name, arguments, elicit)

    # -- resources and prompts --

    async def resources(self) -> list[McpResource]:
        listed = self._listed(lambda page: self._client.list_resources(params=page), "resources")
        return [
            McpResource(str(each.uri), each.title or each.name, each.description or "", each.mime_type or "")
            async for each in listed
        ]

    async def read_resource(self, uri: str) -> str:
        with purpose("mcp", self._server):
            async with asyncio.timeout(ANSWER_S):
                return resource_text(await self._client.read_resource(uri))

    async def prompts(self) -> list[McpPrompt]:
        listed = self._listed(lambda page: self._client.list_prompts(params=page), "prompts")
        return [
            McpPrompt(
                each.name,
                each.title or each.name,
                each.description or "",
                [
                    PromptArgument(argument.name, argument.description or "", bool(argument.required))
                    for argument in each.arguments or []
                ],
            )
            async for each in listed
        ]

    async def get_prompt(self, name: str, arguments: Mapping[str, str]) -> str:
        with purpose("mcp", self._server):
            async with asyncio.timeout(ANSWER_S):
                return prompt_text(await self._client.get_prompt(name, dict(arguments)))

    async def _listed(
        self, ask: Callable[[types.PaginatedRequestParams | None], Awaitable[Any]], what: str
    ) -> AsyncIterator[Any]:
        """Everything in a list that comes in pages. A server whose list has no end is not read to it."""
        page: types.PaginatedRequestParams | None = None
        count = 0
        for _ in range(MOST_PAGES):
            with purpose("mcp", self._server):
                async with asyncio.timeout(ANSWER_S):
                    result = await ask(page)
            for each in getattr(result, what):
                count += 1
                if count > MOST_LISTED:
                    return
                yield each
            if not result.next_cursor:
                return
            page = types.PaginatedRequestParams(cursor=result.next_cursor)

    # -- how it begins, and what comes unasked --

    async def begin(self, streams: tuple[Any, Any], stack: AsyncExitStack, *, is_old: bool) -> None:
        """Greet the server. `is_old` says that it must not be asked about the newest protocol."""
        self._client = _Client(
            *streams,
            elicitation_callback=self._calls.elicited,
            logging_callback=self._logged,
            message_handler=self._heard,
            client_info=types.Implementation(name="deskside", title="Deskside", version=VERSION),
            log_level="info",
        )
        await stack.enter_async_context(self._client)
        if is_old or not await self._is_new():
            await self._client.initialize()
        if self._client.initialize_result is not None and self._capabilities.logging is not None:
            with suppress(MCPError):  # it need not, and its log is only missed
                request = types.SetLevelRequest(params=types.SetLevelRequestParams(level="info"))
                await self._client.send_request(request, types.EmptyResult)

    async def _is_new(self) -> bool:
        try:
            await self._client.discover()
        except MCPError as error:
            if is_end(error):
                raise EndedAtDiscovery from error
            return False
        except (RuntimeError, ValidationError):  # it knows no version that we do; perhaps an older one
            return False
        return True

    async def follow(self) -> None:
        """Listen for changed tools, where the protocol wants that to be asked for; older servers just
        tell."""
        with suppress(
            ListenNotSupportedError, SubscriptionLost, MCPError, TimeoutError, *FAILURES_OF_STREAMS
        ):
            async with listen(self._client, tools_list_changed=True) as changes:
                async for _ in changes:
                    self._ears.on_news()

    async def _logged(self, params: types.LoggingMessageNotificationParams) -> None:
        data = params.data if isinstance(params.data, str) else str(params.data)
        self._ears.on_line("server", f"{params.level}: {data}")

    async def _heard(self, message: types.ServerNotification | Exception) -> None:
        if isinstance(message, types.ToolListChangedNotification):
            self._ears.on_news()
        elif isinstance(message, Exception):
            self._ears.on_line("deskside", f"A message could not be read ({type(message).__name__}).")


@asynccontextmanager
async def open_session(
    stored: StoredServer, access: Access, ears: Ears, gate: Gate, *, is_old: bool, limit_s: float
) -> AsyncIterator[Session]:
    """Start or reach a server and greet it. While the gate is closed a program gets a network of its own.
    Raises FAILURES, EndedAtDiscovery, SignInNeeded, and TimeoutError
    after `limit_s`."""
    session = Session(stored.name, ears)
    answers = Answers()
    challenges: list[str] = []

    def refused(challenge: str) -> None:
        challenges.append(challenge)
        session.is_refused = True
        ears.on_end("The server wants you to sign in.")

    try:
        async with AsyncExitStack() as stack:
            async with asyncio.timeout(limit_s):
                if stored.transport == "stdio":
                    transport = run_program(
                        stored.command,
                        stored.arguments,
                        access.environment,
                        Path.home(),
                        on_line=lambda text: ears.on_line("program", text),
                        on_end=ears.on_end,
                        is_confined=gate.is_closed,
                    )
                else:
                    auth = _auth(stored, access, ears, refused)
                    transport = reach_server(gate, stored.url, access.headers, answers, auth)
                streams = await stack.enter_async_context(transport)
                await session.begin(streams, stack, is_old=is_old)
            yield session
    except (*FAILURES, ExceptionGroup) as error:
        if challenges:
            raise SignInNeeded(challenges[0]) from error
        if answers.refused:
            raise PermissionError(
                f"The server refuses us (HTTP {answers.refused}). It may want a token in a header."
            ) from error
        raise
    if challenges:
        raise SignInNeeded(challenges[0])


def _auth(
    stored: StoredServer, access: Access, ears: Ears, on_refused: Callable[[str], None]
) -> SignedIn | None:
    """How a server elsewhere knows who asks; None where the user gave a header for that."""
    if any(name.lower() == "authorization" for name in access.headers):
        return None

    async def keep(renewed: SignIn) -> None:
        try:
            await access.keep_sign_in(renewed.as_text())
        except AppError as error:
            ears.on_line("deskside", f"The renewed sign-in could not be kept. {error.message} {error.hint}")

    sign_in = None
    if access.sign_in is not None:
        try:
            sign_in = SignIn.model_validate_json(access.sign_in)
        except ValidationError:
            ears.on_line("deskside", "What was kept of your sign-in cannot be read.")
    if sign_in is not None and sign_in.url != stored.url:
        sign_in = None  # a token is for the address that it was given for, whatever else went wrong
    return SignedIn(sign_in, keep, on_refused)


def _definition(tool: types.Tool) -> ToolDefinition:
    annotations = tool.annotations.model_dump(by_alias=True, exclude_none=True) if tool.annotations else {}
    return ToolDefinition(
        name=tool.name,
        title=tool.title or "",
        description=tool.description or "",
        parameters=tool.input_schema,
        output=tool.output_schema,
        annotations=annotations,
    )


def _problem(definition: ToolDefinition) -> str:
    """Why a definition is of no use, or nothing."""
    try:
        size = len(msgspec.json.encode(definition))
    except (UnicodeEncodeError, RecursionError, TypeError, ValueError):
        return "its definition cannot be written down"
    if size > LONGEST_DEFINITION:
        return f"its definition has more than {LONGEST_DEFINITION:,} bytes"
    if not definition.name or len(definition.name) > 200:
        return "its name is empty or too long"
    if definition.parameters.get("type", "object") != "object":
        return "its parameters are not an object"
    return ""
