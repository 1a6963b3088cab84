"""Reports failures to the Sentry server that the user named, where they named one (build/decisions/0028).

Invariants
  - Without a DSN nothing is made, and nothing leaves.
  - Each kind of failure is reported once in a run of the program, and no more than MOST_REPORTED in all.
  - What cannot be sent now is dropped: offline, where nobody answers, while the server wants no more.
  - A failure of the reporting is in the error log, and is not reported.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from loguru import logger

from deskside.backend import sentry
from deskside.backend.errors import AppError, InvalidRequest, ReportFailed
from deskside.backend.log import request_id
from deskside.backend.network.purpose import purpose
from deskside.backend.sentry import Dsn
from deskside.backend.store.errors import ErrorRow
from deskside.backend.store.text import now_ms
from deskside.backend.version import VERSION

if TYPE_CHECKING:
    from deskside.backend.agent.transport import Http
    from deskside.backend.faults import Faults
    from deskside.backend.settings import SettingsStore

MOST_REPORTED = 100
MOST_WAITING = 20
LIMIT_S = 10.0  # for one report as a whole
PAUSE_S = 60.0  # where a server that wants less does not say for how long
LONGEST_PAUSE_S = 24 * 3600.0
ANSWER_BYTES = 10_000
SOURCE = "reports"


class ErrorReports:
    """Used from the backend's loop only. Use `open_error_reports`."""

    def __init__(self, settings: SettingsStore, http: Http) -> None:
        self._settings = settings
        self._http = http
        self._reported: set[str] = set()
        self._waiting: deque[ErrorRow] = deque()
        self._sending: asyncio.Task[None] | None = None
        self._quiet_until_s = 0.0

    def hear(self, row: ErrorRow) -> None:
        """A failure was kept: report it soon, if it is to be."""
        is_wanted = self._settings.current.sentry_dsn and row.source != SOURCE
        if not is_wanted or row.fingerprint in self._reported:
            return
        if len(self._reported) >= MOST_REPORTED or len(self._waiting) >= MOST_WAITING:
            return
        self._reported.add(row.fingerprint)
        self._waiting.append(row)
        if self._sending is None:
            self._begin()

    async def send_test(self) -> str:
        """Report that nothing went wrong, and return the event's id once the server has taken it.

        Raises InvalidRequest without a DSN, BadSetting, Offline, and ReportFailed with what the server said.
        """
        if not self._settings.current.sentry_dsn:
            raise InvalidRequest("No DSN is set, so there is nobody to report to.", hint="Paste a DSN first.")
        row = ErrorRow(
            id=0,
            at_ms=now_ms(),
            source="program",
            code="test",
            message="A test report from Deskside. Nothing went wrong.",
            place="",
            detail="",
            request_id=request_id.get(),
            fingerprint="deskside-test",
            count=1,
            first_ms=now_ms(),
            version=VERSION,
            doing="",
            is_shown=True,
        )
        return await self._report(sentry.read_dsn(self._settings.current.sentry_dsn), row)

    async def finish(self) -> None:
        """Return once nothing is on its way."""
        while self._sending is not None:
            await asyncio.wait([self._sending])

    async def close(self) -> None:
        """Give up what is on its way."""
        self._waiting.clear()
        if self._sending is not None:
            self._sending.cancel()
        await self.finish()

    def _begin(self) -> None:
        self._sending = asyncio.create_task(self._send_waiting(), name="error reports")
        self._sending.add_done_callback(self._ended)

    async def _send_waiting(self) -> None:
        while self._waiting:
            row = self._waiting.popleft()
            if time.monotonic() < self._quiet_until_s:
                continue
            request_id.set(row.request_id)  # this task's own: the ledger shows whose failure it was
            try:
                await self._report(sentry.read_dsn(self._settings.current.sentry_dsn), row)
            except AppError as error:
                logger.warning("an error report was not sent: {}", error.code)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._sending = None
        if not task.cancelled() and (fault := task.exception()) is not None:
            logger.bind(source=SOURCE).opt(exception=fault).error("an error report could not be made")
        if self._waiting:
            self._begin()

    async def _report(self, dsn: Dsn, row: ErrorRow) -> str:
        event = sentry.event_of(row)
        status, answered, body = await self._post(dsn, sentry.envelope(event))
        if status == 429:
            self._quiet_until_s = time.monotonic() + _pause_s(answered)
        if not 200 <= status < 300:
            raise _refused(dsn, status)
        if body.lstrip().startswith(b"<"):
            raise ReportFailed(f"{dsn.host} answered with a web page, as no Sentry server does.")
        return str(event["event_id"])

    async def _post(self, dsn: Dsn, body: bytes) -> tuple[int, Mapping[str, str], bytes]:
        """The status, headers and first bytes of the answer. No redirect is followed."""
        client = (await self._http.connections()).client
        import httpx2

        try:
            with purpose("error_report"):
                async with (
                    asyncio.timeout(LIMIT_S),
                    client.stream(
                        "POST", dsn.endpoint, content=body, headers=sentry.headers(dsn), timeout=None
                    ) as response,
                ):
                    answered = bytearray()
                    async for piece in response.aiter_bytes():
                        answered += piece
                        if len(answered) > ANSWER_BYTES:
                            break
                    return response.status_code, response.headers, bytes(answered)
        except TimeoutError:
            raise ReportFailed(f"{dsn.host} did not answer in {LIMIT_S:g} s.") from None
        except httpx2.ConnectError:
            raise ReportFailed(f"Could not connect to {dsn.host}.") from None
        except (httpx2.RequestError, httpx2.InvalidURL):
            raise ReportFailed(f"{dsn.host} did not answer as a Sentry server does.") from None


@asynccontextmanager
async def open_error_reports(
    settings: SettingsStore, http: Http, faults: Faults
) -> AsyncIterator[ErrorReports]:
    """Report what is kept from the start of the program to the end of the block."""
    reports = ErrorReports(settings, http)
    try:
        with faults.followed_by(reports.hear):
            yield reports
    finally:
        await reports.close()


def _pause_s(answered: Mapping[str, str]) -> float:
    asked = answered.get("retry-after", "")
    return min(float(asked), LONGEST_PAUSE_S) if asked.isdecimal() and asked.isascii() else PAUSE_S


def _refused(dsn: Dsn, status: int) -> ReportFailed:
    said = f"{dsn.host} answered with status {status}"
    match status:
        case 401 | 403:
            return ReportFailed(f"{said}: it does not know the key.", hint="Copy the DSN from Sentry again.")
        case 404:
            return ReportFailed(f"{said}: it has no such project.", hint="Copy the DSN from Sentry again.")
        case 429:
            return ReportFailed(f"{said}: it takes no more reports now.", hint="Try again later.")
        case _ if 300 <= status < 400:
            return ReportFailed(f"{said}: it leads elsewhere.", hint="Use the address that it leads to.")
        case _ if status >= 500:
            return ReportFailed(f"{said}: it has a fault.", hint="Try again later.")
    return ReportFailed(f"{said}.")
