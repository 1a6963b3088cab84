"""The calls of a server's tools that are under way, and what the server asks the user meanwhile.

Over HTTP, and in the newest protocol, a question belongs to a call. Through pipes an older server sends it
beside all of its calls, and nothing in it says which one it is for. With one call under way that is no
matter. With several none is guessed: the question is shown with the newest of them and says that it may be
another's; it goes to another one when that call ends first; and no call's time runs while it is open, since
any of them may be the one that waits. One call at a time instead would hold up all of them for as long as the
longest takes, an hour for one that reports progress, for the sake of servers that hardly ever ask.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

import mcp_types as types
import msgspec
from mcp.client.session import ClientRequestContext, ClientSession
from mcp.shared.exceptions import MCPError
from mcp_types import URL_ELICITATION_REQUIRED
from pydantic import ValidationError

from deskside.backend.mcp.failures import FAILURES_OF_STREAMS, is_end
from deskside.backend.mcp.results import tool_text
from deskside.backend.mcp.tool import CALL_S, ToolFailed
from deskside.backend.store.messages import Elicitation, ElicitationAnswer

Elicit = Callable[[Elicitation], Awaitable[ElicitationAnswer]]

# News of progress prolongs a call, but not for ever.
LONGEST_CALL_S = 3_600.0
MOST_QUESTIONS = 20  # of one call
LONGEST_QUESTION = 4_000
LONGEST_SCHEMA = 20_000
MOST_ROUNDS = 10
CANCEL = ElicitationAnswer("cancel")


@dataclass
class _Call:
    """One call of a tool that is under way. `open` is how many questions are that it may be waiting for."""

    elicit: Elicit | None
    ends_s: float
    limit: asyncio.Timeout | None = None
    shown: set[asyncio.Future[ElicitationAnswer]] = field(default_factory=set)
    open: int = 0
    asked: int = 0

    def prolong(self) -> None:
        """Something happened: the time limit begins anew, unless the user is thinking."""
        if self.limit is None or self.limit.expired() or self.open:
            return
        now_s = asyncio.get_running_loop().time()
        self.limit.reschedule(min(now_s + CALL_S, max(self.ends_s, now_s)))

    def pause(self) -> None:
        """The user is asked: no time passes until `resume`."""
        self.open += 1
        if self.limit is not None and not self.limit.expired():
            self.limit.reschedule(None)

    def resume(self) -> None:
        self.open -= 1
        self.prolong()


# Follows a call into the SDK and, over HTTP, back out with what belongs to it.
_current: ContextVar[_Call | None] = ContextVar("mcp_call", default=None)


class Calls:
    """The calls of one session. `on_end` is told when a call finds that the connection is gone."""

    def __init__(self, server: str, on_end: Callable[[str], None]) -> None:
        self._server = server
        self._on_end = on_end
        self._under_way: list[_Call] = []

    async def call(
        self, client: ClientSession, name: str, arguments: dict[str, Any], elicit: Elicit | None
    ) -> str:
        """Call a tool. Raises ToolFailed with what the server says; TimeoutError after CALL_S without news
        from it, the time that the user takes to answer a question not counted."""
        loop = asyncio.get_running_loop()
        call = _Call(elicit, loop.time() + LONGEST_CALL_S)
        token = _current.set(call)
        self._under_way.append(call)
        try:
            async with asyncio.timeout(CALL_S) as call.limit:
                result = await self._answered(client, call, name, arguments)
        except MCPError as error:
            if is_end(error):
                self._on_end("The connection broke off.")
            raise ToolFailed(self._server, error.message) from error
        except (ValidationError, *FAILURES_OF_STREAMS) as error:
            raise ToolFailed(self._server, "The server's answer could not be read.") from error
        finally:
            _current.reset(token)
            call.limit = None  # it is over: a question that ends later prolongs nothing
            self._under_way.remove(call)
            for question in call.shown:
                question.cancel()
        text = tool_text(result)
        if result.is_error:
            raise ToolFailed(self._server, text)
        return text

    async def _answered(
        self, client: ClientSession, call: _Call, name: str, arguments: dict[str, Any]
    ) -> types.CallToolResult:
        """The result, once every question that the server has on the way was answered."""

        async def progressed(progress: float, total: float | None, message: str | None) -> None:
            call.prolong()

        async def send(answers: Any, state: str | None) -> Any:
            return await client.call_tool(
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
                key: await client.dispatch_input_request(
                    ClientRequestContext(session=client, request_id=key), request
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

    async def elicited(
        self, context: ClientRequestContext, params: types.ElicitRequestParams
    ) -> types.ElicitResult | types.ErrorData:
        """The SDK's callback for a question."""
        call = _current.get()
        answer = await (self._ask_for_some(params) if call is None else self._ask(call, params, [call]))
        answer = answer or CANCEL
        content = answer.content if answer.action == "accept" else None
        try:
            return types.ElicitResult(action=answer.action, content=content)
        except ValidationError:
            return types.ElicitResult(action="cancel")

    async def _visited(self, call: _Call, error: MCPError) -> bool:
        """Ask the user to open the pages that the server wants them to see before it answers."""
        try:
            wanted = types.ElicitationRequiredErrorData.model_validate(error.data)
        except ValidationError:
            return False
        for page in wanted.elicitations:
            answer = await self._ask(call, page, [call])
            if answer is None or answer.action != "accept":
                return False
        return bool(wanted.elicitations)

    async def _ask_for_some(self, params: types.ElicitRequestParams) -> ElicitationAnswer | None:
        """The answer to a question that belongs to one of the calls under way, nobody knows to which."""
        while asked := [call for call in self._under_way if call.elicit is not None]:
            answer = await self._ask(asked[-1], params, self._under_way)
            if answer is not None:
                return answer
        return None

    async def _ask(
        self, call: _Call, params: types.ElicitRequestParams, waiting: Sequence[_Call]
    ) -> ElicitationAnswer | None:
        """The user's answer; None when the call ended meanwhile. One of `waiting` is who the question is
        for."""
        question = _elicitation(self._server, params, len(waiting))
        call.asked += 1
        if call.elicit is None or question is None or call.asked > MOST_QUESTIONS:
            return CANCEL
        paused = list(waiting)
        for each in paused:
            each.pause()
        answer = asyncio.ensure_future(call.elicit(question))
        call.shown.add(answer)
        try:
            await asyncio.wait([answer])
        finally:
            answer.cancel()
            call.shown.discard(answer)
            for each in paused:
                each.resume()
        return None if answer.cancelled() else answer.result()


def _elicitation(server: str, params: types.ElicitRequestParams, calls: int) -> Elicitation | None:
    """The question as the page shows it; None for one that cannot be shown in full or opened."""
    if len(params.message) > LONGEST_QUESTION:
        return None
    if isinstance(params, types.ElicitRequestURLParams):
        is_web = params.url.startswith(("https://", "http://")) and params.url.isprintable()
        return (
            Elicitation(server, params.message, None, params.url, calls)
            if is_web and len(params.url) < 2_000
            else None
        )
    if len(msgspec.json.encode(params.requested_schema)) > LONGEST_SCHEMA:
        return None
    return Elicitation(server, params.message, params.requested_schema, of_calls=calls)
