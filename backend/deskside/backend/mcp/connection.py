"""One server that is kept running: its state, its restarts, its log.

A task of its own opens the session, waits for its end, and begins again after a while, until it failed too
often in a row. Everybody else waits for the state they need. The SDK is imported by the first connection,
beside the loop.
"""

from __future__ import annotations

import asyncio
import importlib
import time
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import urlsplit

from loguru import logger

from deskside.backend import redaction
from deskside.backend.errors import KeychainUnavailable, McpServerError, Offline
from deskside.backend.mcp.rows import LogLine, ServerState, ToolDefinition
from deskside.backend.network.dialing import is_loopback
from deskside.backend.network.gate import Gate
from deskside.backend.network.purpose import purpose
from deskside.backend.store.mcp_servers import StoredServer
from deskside.backend.store.text import now_ms
from deskside.backend.visible import made_visible

if TYPE_CHECKING:
    from deskside.backend.mcp.server_secrets import Access
    from deskside.backend.mcp.session import Session

# Seconds until a server is tried again, by how often it failed in a row; past the last one it is given up.
BACK_OFF_S = (1.0, 2.0, 5.0, 15.0, 60.0)
# A server that ran for this long did not fail in a row.
STEADY_S = 60.0
# `npx` may have to fetch the server first.
CONNECT_S = 60.0
# Two ways of ending a program, each with its own time (stdio.py), and the loop's.
STOP_S = 8.0
# How often a server that says that its tools changed is asked for them.
LISTING_EVERY_S = 1.0
KEPT_LINES = 500
WHERE_TO_SIGN_IN = "Sign in, in Settings under MCP servers."
LONGEST_LINE = 2_000
NO_OWN_NETWORK = (
    "Deskside is offline, and this system cannot keep the server's program from the network, "
    "so it was not started."
)

After = Literal["waiting", "failed", "signed_out", "offline"]
ReadAccess = Callable[[], Awaitable["Access"]]
"""What the server is given, read when it is needed."""
Offer = Callable[[Sequence[ToolDefinition]], Awaitable[None]]


class Connection:
    """A server's connection. All methods belong to the loop's thread.

    `offer` is told what tools there are, each time they were asked for; `publish` that something the page
    shows has changed.
    """

    def __init__(
        self,
        stored: StoredServer,
        access: ReadAccess,
        offer: Offer,
        publish: Callable[[], None],
        gate: Gate,
        *,
        back_off_s: Sequence[float] = BACK_OFF_S,
        connect_s: float = CONNECT_S,
    ) -> None:
        self.stored = stored
        self.state: ServerState = "idle"
        self.reason = ""
        self.retry_ms: int | None = None
        self.lines: deque[LogLine] = deque(maxlen=KEPT_LINES)
        self.session: Session | None = None
        self.hashes: Mapping[str, str] = {}
        self.challenge = ""  # where to sign in, in the server's words, while it wants that
        self._access = access
        self._offer = offer
        self._publish = publish
        self._gate = gate
        self._back_off_s = back_off_s
        self._connect_s = connect_s
        self._is_old = False
        self._ended = ""
        self._has_news = False
        self._stirred = asyncio.Event()
        self._changed = asyncio.Event()
        self._is_stopping = False
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin, if it was not begun. One that was given up begins anew after a `stop` only."""
        if self.state == "idle":
            self._is_stopping = False
            self._set("starting")
            self._task = asyncio.create_task(self._run(), name=f"mcp {self.stored.id}")
            self._task.add_done_callback(self._notice_fault)

    async def stop(self) -> None:
        """End it, and wait until its program is gone."""
        self._is_stopping = True
        self._stirred.set()
        if self._task is not None and not self._task.done():
            await asyncio.wait([self._task], timeout=STOP_S)
            self._task.cancel()
            await asyncio.wait([self._task], timeout=STOP_S)
        self._set("idle")

    async def ready(self) -> Session:
        """The session, once there is one. Raises McpServerError where the server was given up, or wants the
        user to sign in, and Offline."""
        self.start()
        while self.state != "ready" or self.session is None:
            if self.state == "signed_out":
                raise McpServerError(
                    f"The MCP server “{self.stored.name}” wants you to sign in.", hint=WHERE_TO_SIGN_IN
                )
            if self.state == "offline":
                raise Offline(f"The MCP server “{self.stored.name}” does not run. {self.reason}")
            if self.state in ("failed", "idle"):
                raise McpServerError(
                    f"The MCP server “{self.stored.name}” does not run. {self.reason}".strip()
                )
            await self._changed.wait()
        return self.session

    def explain(self, reason: str) -> None:
        """Say why the user is still not signed in."""
        if self.state == "signed_out":
            self._set("signed_out", reason)

    def note(self, source: Any, text: str) -> None:
        """A line for the log that the user can look at. It is kept in memory only."""
        said = redaction.PROCESS.without_keys(text)[:LONGEST_LINE]
        self.lines.append(LogLine(now_ms(), source, made_visible(said)))

    # -- the task --

    async def _run(self) -> None:
        failures = 0
        while not self._is_stopping:
            self._set("starting")
            began_s = time.monotonic()
            reason, after = await self._live()
            if self._is_stopping:
                return
            self.note("deskside", reason or "The server wants you to sign in.")
            # Neither the reason nor the command is written to our log: both can hold what is the user's.
            logger.info("MCP server {} ended", self.stored.id)
            if after in ("signed_out", "offline"):
                self._set(after, reason)
                return
            failures = 1 if time.monotonic() - began_s > STEADY_S else failures + 1
            if failures > len(self._back_off_s) or after == "failed":
                self._set("failed", reason)
                return
            await self._wait(self._back_off_s[failures - 1], reason)

    @property
    def is_elsewhere(self) -> bool:
        """Whether the server is none of this machine's."""
        return self.stored.transport == "http" and not is_loopback(urlsplit(self.stored.url).hostname or "")

    async def _live(self) -> tuple[str, After]:
        """One session from its beginning to its end. Returns why it ended, and what comes now."""
        with purpose("mcp", self.stored.name):
            return await self._live_for_its_purpose()

    async def _live_for_its_purpose(self) -> tuple[str, After]:
        if self._gate.is_closed and self.is_elsewhere:
            return "Deskside is offline, and the server is elsewhere.", "offline"
        try:
            # Half a second of imports: beside the loop, which has a window to serve.
            sdk = await asyncio.to_thread(importlib.import_module, "deskside.backend.mcp.session")
            failures = importlib.import_module("deskside.backend.mcp.failures")
            access = await self._access()
        except KeychainUnavailable as error:
            # It would show its prompt again and again.
            return f"{error.message} {error.hint}", "failed"
        if self._gate.is_closed and self.stored.transport == "stdio" and not await _can_confine():
            return NO_OWN_NETWORK, "offline"
        self._ended, self._has_news = "", False
        ears = sdk.Ears(self.note, self._end, self._hear_news)
        opening = sdk.open_session(
            self.stored, access, ears, self._gate, is_old=self._is_old, limit_s=self._connect_s
        )
        try:
            async with opening as session:
                await self._list_tools(session)
                self.session = session
                self._set("ready")
                self.note("deskside", f"Connected to {session.title or 'the server'}.")
                await self._stay(session)
        except failures.SignInNeeded as error:
            self.challenge = error.challenge
            return "" if access.sign_in is None else "You are not signed in there any more.", "signed_out"
        except failures.EndedAtDiscovery as error:
            self._is_old = True
            self._ended = failures.why(error)
        except failures.FAILURES as error:
            self._ended = self._ended or failures.why(error)
        except BaseExceptionGroup as group:
            expected, unexpected = group.split(
                (*failures.FAILURES, *failures.FAILURES_OF_STREAMS, failures.EndedAtDiscovery)
            )
            if unexpected is not None or expected is None:
                raise
            ended_at_discovery = expected.subgroup(failures.EndedAtDiscovery)
            self._is_old = self._is_old or ended_at_discovery is not None
            self._ended = self._ended or failures.why(ended_at_discovery or expected)
        finally:
            self.session = None
            self.hashes = {}
        return self._ended or "The connection ended.", "waiting"

    async def _stay(self, session: Session) -> None:
        """Wait for the session's end, and ask for the tools again when the server says that they changed."""
        follower = asyncio.create_task(session.follow())
        try:
            while not self._ended and not self._is_stopping:
                await self._stirred.wait()
                self._stirred.clear()
                if self._has_news and not self._ended and not self._is_stopping:
                    self._has_news = False
                    await self._list_tools(session)
                    await self._pause(LISTING_EVERY_S)
        finally:
            follower.cancel()

    async def _list_tools(self, session: Session) -> None:
        definitions = await session.tools()
        self.hashes = {definition.name: definition.sha256 for definition in definitions}
        await self._offer(definitions)

    async def _wait(self, delay_s: float, reason: str) -> None:
        self.retry_ms = now_ms() + round(delay_s * 1000)
        self._set("waiting", reason)
        await self._pause(delay_s)

    async def _pause(self, delay_s: float) -> None:
        """Wait, unless it shall stop. What else stirs meanwhile is looked at afterwards."""
        give_up_s = time.monotonic() + delay_s
        has_stirred = False
        while not self._is_stopping and (left_s := give_up_s - time.monotonic()) > 0:
            try:
                async with asyncio.timeout(left_s):
                    await self._stirred.wait()
            except TimeoutError:
                break
            self._stirred.clear()
            has_stirred = True
            if self._ended and self.state == "ready":
                break
        if has_stirred:
            self._stirred.set()

    def _end(self, reason: str) -> None:
        self._ended = self._ended or reason
        self._stirred.set()

    def _hear_news(self) -> None:
        self._has_news = True
        self._stirred.set()

    def _set(self, state: ServerState, reason: str = "") -> None:
        self.state = state
        self.reason = reason
        if state != "waiting":
            self.retry_ms = None
        # Whoever waits now is woken; whoever waits later waits for the next change.
        self._changed.set()
        self._changed = asyncio.Event()
        self._publish()

    def _notice_fault(self, task: asyncio.Task[None]) -> None:
        if task.cancelled() or (error := task.exception()) is None:
            return
        logger.opt(exception=error).error("MCP server {}: a fault of ours", self.stored.id)
        self._set("failed", "Deskside has a fault there; its log says where.")


async def _can_confine() -> bool:
    from deskside.backend.mcp.stdio import can_confine

    return await can_confine()
