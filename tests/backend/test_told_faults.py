"""What nobody caught is in the error log that the user sees: once, counted, and without what was in it."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from loguru import logger

from deskside.backend import log
from deskside.backend.attachments import documents
from deskside.backend.child_text import ChildFailed, text_from
from deskside.backend.crashes import reporting
from deskside.backend.event_buffer import EventBuffer
from deskside.backend.events import FaultKept
from deskside.backend.faults import Faults, open_faults
from deskside.backend.log import note_call, open_log, request_id
from deskside.backend.paths import Paths
from deskside.backend.store import errors
from deskside.backend.store.database import Store, open_store
from deskside.backend.store.errors import ErrorRow
from deskside.backend.version import VERSION

PLANTED = "sk-planted-0123456789"


class Program:
    """The log, the hooks, the store and the error log, as they are together in the program."""

    def __init__(self, store: Store, events: EventBuffer, faults: Faults) -> None:
        self.store, self.events, self.faults = store, events, faults

    async def rows(self) -> list[ErrorRow]:
        """What is in the error log once all that was logged before has arrived."""
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        await self.faults.finish()
        return await self.store.read(errors.recent, 100)


@asynccontextmanager
async def program(tmp_path: Path) -> AsyncIterator[Program]:
    paths = Paths(tmp_path / "data", tmp_path / "logs", tmp_path / "cache")
    with open_log(paths.logs), reporting(paths.crashes):
        async with open_store(paths) as store:
            events = EventBuffer()
            async with open_faults(store, events, paths.crashes) as faults:
                yield Program(store, events, faults)


def fail() -> None:
    raise ValueError(f"could not send {PLANTED}")


async def test_a_thread_that_nobody_waits_for(tmp_path: Path) -> None:
    async with program(tmp_path) as running:
        note_call("conversations.rename")
        thread = threading.Thread(target=fail, name="errand")
        thread.start()
        thread.join()

        (row,) = await running.rows()

    assert ("thread", "the thread errand ended with a fault") == (row.source, row.message)
    assert "ValueError at tests/backend/test_told_faults.py:" in row.detail
    assert "conversations.rename (-)" == row.doing
    assert (VERSION, 1, False) == (row.version, row.count, row.is_shown)
    assert PLANTED not in str(row)


async def test_a_task_whose_outcome_nobody_asks_for(tmp_path: Path) -> None:
    async def task() -> None:
        request_id.set("a1b2c3d4e5f6")
        fail()

    async with program(tmp_path) as running:
        failing = asyncio.create_task(task())
        await asyncio.wait([failing])
        del failing

        (row,) = await running.rows()

    assert ("task", "asyncio") == (row.source, row.place)
    assert "Task exception was never retrieved" in row.message
    assert "ValueError at tests/backend/test_told_faults.py:" in row.detail
    assert PLANTED not in str(row)


async def test_an_exception_where_none_can_be_raised(tmp_path: Path) -> None:
    class Odd:
        def __del__(self) -> None:
            fail()

    async with program(tmp_path) as running:
        Odd()

        (row,) = await running.rows()

    assert "program" == row.source
    assert "ValueError at" in row.detail
    assert PLANTED not in str(row)


async def test_a_child_that_is_killed_by_a_fault(tmp_path: Path) -> None:
    worker = tmp_path / "worker.py"
    worker.write_text("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)")

    async with program(tmp_path) as running:
        with pytest.raises(ChildFailed):
            await text_from(worker, b"", time_limit_s=documents.TIME_LIMIT_S, longest=100)

        (row,) = await running.rows()

    assert ("child", "the program that reads files ended by SIGSEGV") == (row.source, row.message)


async def test_a_child_that_only_refuses_is_no_fault(tmp_path: Path) -> None:
    worker = tmp_path / "worker.py"
    worker.write_text("raise SystemExit(3)")

    async with program(tmp_path) as running:
        with pytest.raises(ChildFailed):
            await text_from(worker, b"", time_limit_s=documents.TIME_LIMIT_S, longest=100)

        assert [] == await running.rows()


async def test_the_same_fault_is_one_row_with_a_count_and_told_until_it_was_shown(tmp_path: Path) -> None:
    async with program(tmp_path) as running:
        for number in range(3):
            request_id.set(f"request-{number}")
            try:
                fail()
            except ValueError:
                logger.opt(exception=True).error("errand {} failed", number)
        (row,) = await running.rows()
        await running.store.write(errors.mark_shown)
        await running.faults.tell_untold()
        logger.error("something else")
        other, same = await running.rows()
        told = [event for event in running.events.since(0, 100) or [] if isinstance(event, FaultKept)]

    assert (3, "errand 2 failed", "request-2") == (row.count, row.message, row.request_id)
    assert row.first_ms <= row.at_ms
    assert (False, True) == (other.is_shown, same.is_shown)
    assert [row.id, other.id] == [event.fault.id for event in told]


async def test_lines_of_libraries_and_faults_that_were_told_are_not_told_again(tmp_path: Path) -> None:
    import logging

    async with program(tmp_path) as running:
        logging.getLogger("mcp.server").error("a server said something odd")
        logger.bind(is_kept=True).error("a command failed")

        assert [] == await running.rows()


async def test_a_flood_of_faults_is_counted_in_the_log_and_bounded_in_the_store(tmp_path: Path) -> None:
    async with program(tmp_path) as running:
        for number in range(5_000):
            logger.error("fault number {}", number)

        assert 100 == len(await running.rows())


CRASHING = """
import os, signal, sys
from pathlib import Path
from deskside.backend.crashes import reporting
from deskside.backend.log import note_call
def in_here():
    os.kill(os.getpid(), signal.SIGNAL)
with reporting(Path(sys.argv[1])):
    note_call("runs.start")
    in_here()
"""


def end_badly(folder: Path, name: str) -> int:
    root = Path(__file__).resolve().parents[2]
    roots = os.pathsep.join(str(root / part) for part in ("shell", "bridge", "backend"))
    ended = subprocess.run(
        [sys.executable, "-c", CRASHING.replace("SIGNAL", name), str(folder)],
        env={**os.environ, "PYTHONPATH": roots},
        check=False,
    )
    return ended.returncode


async def test_a_crash_of_python_is_told_at_the_next_start_and_once(tmp_path: Path) -> None:
    assert -signal.SIGSEGV == end_badly(tmp_path / "data" / "crashes", "SIGSEGV")

    async with program(tmp_path) as running:
        (row,) = await running.rows()
    async with program(tmp_path) as running:
        (again,) = await running.rows()

    assert ("crash", "Python itself crashed: Segmentation fault.") == (row.source, row.message)
    assert "in_here" in row.place
    assert "in_here" in row.detail
    assert "runs.start (-)" == row.doing
    assert (row, 1) == (again, again.count)
    assert [] == list((tmp_path / "data" / "crashes").iterdir())


async def test_a_program_that_was_killed_is_no_crash(tmp_path: Path) -> None:
    assert -signal.SIGKILL == end_badly(tmp_path / "data" / "crashes", "SIGKILL")

    async with program(tmp_path) as running:
        assert [] == await running.rows()


async def test_a_fault_that_ends_the_program_is_told_at_the_next_start(tmp_path: Path) -> None:
    with pytest.raises(ValueError), reporting(tmp_path / "data" / "crashes"):
        fail()

    async with program(tmp_path) as running:
        (row,) = await running.rows()

    assert ("program", "Deskside ended with a fault.") == (row.source, row.message)
    assert "ValueError at tests/backend/test_told_faults.py:" in row.detail
    assert PLANTED not in str(row)


async def test_a_report_that_cannot_be_read_keeps_no_program_from_starting(tmp_path: Path) -> None:
    folder = tmp_path / "data" / "crashes"
    folder.mkdir(parents=True)
    (folder / "fault-1-2.json").write_bytes(b'{"source": "prog')
    (folder / "python-1.txt").write_bytes(b"\xff" * 1_000)

    async with program(tmp_path) as running:
        (row,) = await running.rows()

    assert "crash" == row.source
    assert log.on_call is None
