"""One conversation with a server, through the official SDK, which takes half a second to import.

Older servers are greeted with `initialize`, those of 2026 with `server/discover`; both can ask the user
something in the middle of a call (elicitation). What they cannot have: our model (sampling) and our folders
(roots); neither is offered, and both are refused.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import anyio
import httpx2
import mcp_types as types
import msgspec
from mcp.client.session import ClientRequestContext, ClientSession
from mcp.client.subscriptions import ListenNotSupportedError, SubscriptionLost, listen
from mcp.shared.exceptions import MCPError
from mcp_types import CONNECTION_CLOSED, INVALID_REQUEST, URL_ELICITATION_REQUIRED
from pydantic import ValidationError

from deskside.backend.mcp.http import Answers, reach_server
from deskside.backend.mcp.results import prompt_text, resource_text, tool_text
from deskside.backend.mcp.rows import McpPrompt, McpResource, PromptArgument, ToolDefinition
from deskside.backend.mcp.stdio import run_program
from deskside.backend.mcp.tool import CALL_S, ToolFailed
from deskside.backend.store.mcp_servers import StoredServer
from deskside.backend.store.messages import Elicitation, ElicitationAnswer
from deskside.backend.version import VERSION

Elicit = Callable[[Elicitation], Awaitable[ElicitationAnswer]]

# A list or a text that the page asked for. A call of a tool has a limit of its own.
ANSWER_S = 30.0
# News of progress prolongs a call, but not for ever.
LONGEST_CALL_S = 3_600.0
MOST_PAGES = 20
MOST_TOOLS = 300
MOST_LISTED = 1_000
LONGEST_DEFINITION = 60_000  # bytes of JSON; a model reads all of it with every step
MOST_QUESTIONS = 20  # of one call
LONGEST_QUESTION = 4_000
LONGEST_SCHEMA = 20_000
MOST_ROUNDS = 10

FAILURES = (MCPError, OSError, TimeoutError, httpx2.HTTPError, ValueError, RuntimeError, anyio.EndOfStream)
"""What talking to a server raises; also inside an exception group."""

# The SDK writes what a server sent into its log lines. What matters of it is in the server's own log.
for sdk_logger in ("mcp", "client"):
    logging.getLogger(sdk_logger).setLevel(logging.CRITICAL + 1)

FAILURES_OF_STREAMS = (anyio.ClosedResourceError, anyio.BrokenResourceError)


class EndedAtDiscovery(Exception):
    """The server left when it was asked whether it knows the newest protocol: ask it in the old way."""


@dataclass(frozen=True)
class Ears:
    """Whom a session tells what it hears. `on_end` may be called more than once."""

    on_line: Callable[[str, str], None]
    on_end: Callable[[str], None]
    on_news: Callable[[], None]


@dataclass
class _Call:
    """One call of a tool that is under way."""

    elicit: Elicit | None
    ends_s: float
    limit: asyncio.Timeout | None = None
    questions: set[asyncio.Future[ElicitationAnswer]] = field(default_factory=set)
    asked: int = 0

    def prolong(self) -> None:
        """Something happened: the time limit begins anew, unless the user is thinking."""
        if self.limit is None or self.limit.expired() or self.questions:
            return
        now_s = asyncio.get_running_loop().time()
        self.limit.reschedule(min(now_s + CALL_S, max(self.ends_s, now_s)))


# Follows a call into the SDK and, over HTTP, back out with what belongs to it.
_current: ContextVar[_Call | None] = ContextVar("mcp_call", default=None)


class _Client(ClientSession):
    async def validate_tool_result(self, name: str, result: types.CallToolResult) -> None:
        """Nothing. The schema is the server's, and can hold a pattern that takes hours."""


class Session:
    """An open conversation. Made by `open_session`; its methods raise FAILURES."""

    def __init__(self, server: str, ears: Ears) -> None:
        self._server = server
        self._ears = ears
        self._calls: list[_Call] = []
        self._client: _Client

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
        """Call a tool. Raises ToolFailed with what the server says; TimeoutError after CALL_S without news
        from it, the time that the user takes to answer a question not counted."""
        loop = asyncio.get_running_loop()
        call = _Call(elicit, loop.time() + LONGEST_CALL_S)
        token = _current.set(call)
        self._calls.append(call)
        try:
            async with asyncio.timeout(CALL_S) as call.limit:
                result = await self._answered(call, name, arguments)
        except MCPError as error:
            if _is_end(error):
                self._ears.on_end("The connection broke off.")
            raise ToolFailed(self._server, error.message) from error
        except (ValidationError, *FAILURES_OF_STREAMS) as error:
            raise ToolFailed(self._server, "The server's answer could not be read.") from error
        finally:
            _current.reset(token)
            self._calls.remove(call)
            for question in call.questions:
                question.cancel()
        text = tool_text(result)
        if result.is_error:
            raise ToolFailed(self._server, text)
        return text

    async def _answered(self, call: _Call, name: str, arguments: dict[str, Any]) -> types.CallToolResult:
        """The result, once every question that the server has on the way was answered."""

        async def progressed(progress: float, total: float | None, message: str | None) -> None:
            call.prolong()

        async def send(answers: Any, state: str | None) -> Any:
            return await self._client.call_tool(
                name,
                arguments,
                progress_callback=progressed,
                input_responses=answers,
                request_state=state,
                allow_input_required=True,
            )

        answers: dict[str, Any] | None = None
        state: str | None = None
        for _ in range(MOST_ROUNDS):
            try:
                result = await send(answers, state)
            except MCPError as error:
                if error.code != URL_ELICITATION_REQUIRED or not await self._visited(call, error):
                    raise
                continue
            if isinstance(result, types.CallToolResult):
                return result
            state = result.request_state
            answers = {
                key: await self._client.dispatch_input_request(
                    ClientRequestContext(session=self._client, request_id=key), request
                )
                for key, request in (result.input_requests or {}).items()
            }
            for answer in answers.values():
                if isinstance(answer, types.ErrorData):
                    raise MCPError.from_error_data(answer)
            if not answers:
                await asyncio.sleep(0.1)  # it only wants to be asked again
        raise ToolFailed(self._server, "The server keeps asking instead of answering.")

    # -- questions for the user --

    async def _visited(self, call: _Call, error: MCPError) -> bool:
        """Ask the user to open the pages that the server wants them to see before it answers."""
        try:
            wanted = types.ElicitationRequiredErrorData.model_validate(error.data)
        except ValidationError:
            return False
        for page in wanted.elicitations:
            if (await self._ask(call, page)).action != "accept":
                return False
        return bool(wanted.elicitations)

    async def _elicited(
        self, context: ClientRequestContext, params: types.ElicitRequestParams
    ) -> types.ElicitResult | types.ErrorData:
        """The SDK's callback. Through pipes nothing says which call a question belongs to: then it is taken
        for the newest one's."""
        call = _current.get() or (self._calls[-1] if self._calls else None)
        if call is None:
            return types.ElicitResult(action="cancel")
        answer = await self._ask(call, params)
        content = answer.content if answer.action == "accept" else None
        try:
            return types.ElicitResult(action=answer.action, content=content)
        except ValidationError:
            return types.ElicitResult(action="cancel")

    async def _ask(self, call: _Call, params: types.ElicitRequestParams) -> ElicitationAnswer:
        question = _elicitation(self._server, params)
        call.asked += 1
        if call.elicit is None or question is None or call.asked > MOST_QUESTIONS:
            return ElicitationAnswer("cancel")
        if call.limit is not None and not call.limit.expired():
            call.limit.reschedule(None)
        answer = asyncio.ensure_future(call.elicit(question))
        call.questions.add(answer)
        try:
            await asyncio.wait([answer])
        finally:
            answer.cancel()
            call.questions.discard(answer)
            call.prolong()
        return ElicitationAnswer("cancel") if answer.cancelled() else answer.result()

    # -- resources and prompts --

    async def resources(self) -> list[McpResource]:
        listed = self._listed(lambda page: self._client.list_resources(params=page), "resources")
        return [
            McpResource(str(each.uri), each.title or each.name, each.description or "", each.mime_type or "")
            async for each in listed
        ]

    async def read_resource(self, uri: str) -> str:
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
        async with asyncio.timeout(ANSWER_S):
            return prompt_text(await self._client.get_prompt(name, dict(arguments)))

    async def _listed(
        self, ask: Callable[[types.PaginatedRequestParams | None], Awaitable[Any]], what: str
    ) -> AsyncIterator[Any]:
        """Everything in a list that comes in pages. A server whose list has no end is not read to it."""
        page: types.PaginatedRequestParams | None = None
        count = 0
        for _ in range(MOST_PAGES):
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
            elicitation_callback=self._elicited,
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
            if _is_end(error):
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
    stored: StoredServer,
    environment: Mapping[str, str],
    headers: Mapping[str, str],
    ears: Ears,
    *,
    is_old: bool,
    limit_s: float,
) -> AsyncIterator[Session]:
    """Start or reach a server and greet it. Raises FAILURES, EndedAtDiscovery, and TimeoutError after
    `limit_s`."""
    session = Session(stored.name, ears)
    answers = Answers()
    try:
        async with AsyncExitStack() as stack:
            async with asyncio.timeout(limit_s):
                if stored.transport == "stdio":
                    transport = run_program(
                        stored.command,
                        stored.arguments,
                        environment,
                        Path.home(),
                        on_line=lambda text: ears.on_line("program", text),
                        on_end=ears.on_end,
                    )
                else:
                    transport = reach_server(stored.url, headers, answers)
                streams = await stack.enter_async_context(transport)
                await session.begin(streams, stack, is_old=is_old)
            yield session
    except FAILURES as error:
        if answers.refused in (401, 403):
            raise PermissionError(
                f"The server refuses us (HTTP {answers.refused}). It may want a token in a header."
            ) from error
        raise


def why(error: BaseException) -> str:
    """A failure as a sentence for the user."""
    if isinstance(error, BaseExceptionGroup):
        return why(error.exceptions[0])
    if isinstance(error, PermissionError) and error.errno is None:
        return str(error)
    if isinstance(error, EndedAtDiscovery):
        return "It ended when it was greeted in the newest way; it is greeted in the old one now."
    if isinstance(error, TimeoutError):
        return "It did not answer in time."
    if isinstance(error, httpx2.ConnectError):
        return "There is nothing at its address that answers."
    if isinstance(error, ValidationError):
        return "What it says does not fit the protocol."
    if isinstance(error, MCPError):
        return f"It says: {error.message[:300]}"
    return f"It could not be reached ({type(error).__name__}: {str(error)[:300]})."


def _is_end(error: MCPError) -> bool:
    """Whether the SDK says that the connection is gone. By its words: servers use the same codes for errors
    of their own."""
    return (error.code, error.message) in (
        (CONNECTION_CLOSED, "Connection closed"),
        (INVALID_REQUEST, "Session terminated"),
    )


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


def _elicitation(server: str, params: types.ElicitRequestParams) -> Elicitation | None:
    """The question as the page shows it; None for one that cannot be shown in full or opened."""
    if len(params.message) > LONGEST_QUESTION:
        return None
    if isinstance(params, types.ElicitRequestURLParams):
        is_web = params.url.startswith(("https://", "http://")) and params.url.isprintable()
        return (
            Elicitation(server, params.message, None, params.url)
            if is_web and len(params.url) < 2_000
            else None
        )
    if len(msgspec.json.encode(params.requested_schema)) > LONGEST_SCHEMA:
        return None
    return Elicitation(server, params.message, params.requested_schema)
