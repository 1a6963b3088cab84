"""Python that a model or the user wrote, run in worker processes that can reach nothing.

The workers are those of pydantic-monty: an interpreter of its own in Rust, without files, network,
environment or processes. What a call may reach beyond its arguments is given to it by name, as functions of
this program that the code calls and that answer with text.

Invariants
  - Nothing that the code made comes over as an object: its result is made into JSON inside the worker, and
    cut there. (A list that holds one list a thousand times, which does the same, has a thousand million
    elements after three levels, and takes a few kilobytes.)
  - A call costs only itself. It ends after its time, its memory or its functions are used up; a worker that
    breaks down is replaced; a call that is cancelled takes its worker with it.
  - No call sees another's variables: each gets a session of its own, and none goes on after a time limit.

Workers start with the first call and end after some idle time. A worker that is there answers in 1 ms, a
new one in 30; one takes 10 to 14 MB. They start with an empty environment.
"""

from __future__ import annotations

import ast
import asyncio
import json
import os
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast

import msgspec
from loguru import logger

from deskside.backend.errors import AppError
from deskside.backend.store.text import storable

if TYPE_CHECKING:
    from pydantic_monty import (
        AsyncFunctionSnapshot,
        AsyncMonty,
        AsyncMontySession,
        MontyError,
        OSPolicy,
        ResourceLimits,
    )

WORKERS = 4
IDLE_S = 60.0
LAST_WAIT_S = 0.05
# A worker is replaced now and then, so that nothing of the interpreter can grow for ever.
CALLS_A_WORKER = 500

RUN_LIMIT_S = 5.0
WAIT_LIMIT_S = 45.0
MEMORY_LIMIT_BYTES = 64 * 1024 * 1024
RESULT_LIMIT = 200_000  # characters of JSON
PRINT_LIMIT = 50_000  # characters; what is printed beyond is dropped
RECURSION_LIMIT = 400
FUNCTION_LIMIT = 200  # calls of this program's functions, and looks at the clock
SOURCE_LIMIT = 100_000  # characters
CUT_MARK = "\n… more was printed."

HostFunction = Callable[[str], Awaitable[str | list[str]]]
"""What the code may call: takes one text and answers with text or a list of it. What it raises as AppError,
OSError or ValueError is raised in the code."""


class CodeFailed(Exception):
    """The code did not come to a result. The text is for who wrote it: a person or a model.

    `line` counts from 1, None where no line of theirs is at fault; `printed` is what it had printed.
    """

    def __init__(
        self, message: str, *, line: int | None = None, printed: str = "", duration_ms: float = 0
    ) -> None:
        super().__init__(message)
        self.message = message
        self.line = line
        self.printed = printed
        self.duration_ms = duration_ms

    def __str__(self) -> str:
        where = f"line {self.line}: " if self.line else ""
        printed = f"\nIt had printed:\n{self.printed}" if self.printed else ""
        return f"{where}{self.message}{printed}"


class Outcome(msgspec.Struct, frozen=True):
    """What the code came to. `json` is the result as JSON text, "null" where there is none; `duration_ms` the
    time it took without waiting for a worker."""

    json: str
    printed: str
    duration_ms: float


@dataclass(frozen=True)
class Grants:
    """What the code may use: functions by name, and the clock."""

    functions: Mapping[str, HostFunction] = field(default_factory=dict)
    has_clock: bool = False


NOTHING = Grants()

# What the worker asks its host for when code looks at the clock.
CLOCK = ("datetime.", "date.", "time.")
NO_CLOCK = "this code may not look at the clock: it was not given “time”"

# The names cannot be taken by accident; code that takes them on purpose only spoils its own result. An
# f-string is always a text, whatever the names inside it mean.
CALL = """from json import dumps as __dumps
f"{{__dumps({name}(**__arguments), allow_nan=False)}}"[:{limit}]"""
SHOW = """from json import dumps as __dumps
try:
    __text = __dumps(__result, allow_nan=False)
except (TypeError, ValueError, RecursionError):
    __text = __dumps(repr(__result))
f"{{__text}}"[:{limit}]"""
NO_RESULT = "'null'"


class Sandbox:
    """The pool of workers. Used from the backend's loop only."""

    def __init__(
        self, *, workers: int = WORKERS, idle_s: float = IDLE_S, run_limit_s: float = RUN_LIMIT_S
    ) -> None:
        self._workers = workers
        self._idle_s = idle_s
        self._run_limit_s = run_limit_s
        self._pool: AsyncMonty | None = None
        self._opening = asyncio.Lock()
        self._calls = 0
        self._idle: asyncio.TimerHandle | None = None
        self._ending: set[asyncio.Task[None]] = set()

    async def call(
        self, source: str, function: str, arguments: Mapping[str, Any], grants: Grants = NOTHING
    ) -> Outcome:
        """Call one function of a source with arguments by name. Raises CodeFailed.

        `arguments` are plain data; `function` is an identifier.
        """
        if not function.isidentifier():
            raise ValueError(f"{function!r} is no name of a function")
        tail = CALL.format(name=function, limit=RESULT_LIMIT + 1)
        return await self._run(source, {"__arguments": dict(arguments)}, tail, grants)

    async def evaluate(self, code: str, grants: Grants = NOTHING) -> Outcome:
        """Run statements; the result is the value of the last one, where that is an expression. A value that
        JSON does not know comes as its `repr`. Raises CodeFailed."""
        kept = keep_last(code)
        tail = NO_RESULT if kept is None else SHOW.format(limit=RESULT_LIMIT + 1)
        return await self._run(kept or code, {}, tail, grants)

    async def close(self) -> None:
        """End all workers. Calls that still run fail."""
        if self._idle is not None:
            self._idle.cancel()
        pool, self._pool = self._pool, None
        if pool is not None:
            await _end(pool)
            # The library's thread that says so still has to come back from it. An interpreter that ends first
            # takes the thread's way back, and the thread aborts the process.
            await asyncio.sleep(LAST_WAIT_S)
        await asyncio.gather(*self._ending)

    # -- one call --

    async def _run(self, source: str, inputs: dict[str, Any], tail: str, grants: Grants) -> Outcome:
        if len(source) > SOURCE_LIMIT:
            raise CodeFailed(f"The code is longer than {SOURCE_LIMIT:,} characters.")
        monty = await self._pool_in_use()
        call = _Call(grants, self._run_limit_s)
        try:
            # The limit also holds for waiting: for a worker, and for the functions that the code calls.
            async with asyncio.timeout(WAIT_LIMIT_S):
                async with _session(monty, self._run_limit_s, grants) as session:
                    call.started = time.perf_counter()
                    await call.feed(session, source, {})
                    text = await call.feed(session, tail, inputs)
        except TimeoutError as error:
            raise call.failed(f"It was given up after {WAIT_LIMIT_S:g} s.") from error
        finally:
            self._release()
        return call.outcome(text)

    # -- the workers --

    async def _pool_in_use(self) -> AsyncMonty:
        """The pool, opened where there is none, and kept from ending until `_release`."""
        self._calls += 1
        if self._idle is not None:
            self._idle.cancel()
            self._idle = None
        try:
            async with self._opening:
                if self._pool is None:
                    self._pool = await _open(self._workers)
                return self._pool
        except BaseException:
            self._release()
            raise

    def _release(self) -> None:
        self._calls -= 1
        if self._calls == 0 and self._pool is not None:
            self._idle = asyncio.get_running_loop().call_later(self._idle_s, self._end_idle)

    def _end_idle(self) -> None:
        pool, self._pool, self._idle = self._pool, None, None
        if pool is not None:
            # A call that comes meanwhile opens a pool of its own.
            ending = asyncio.create_task(_end(pool))
            self._ending.add(ending)
            ending.add_done_callback(self._ending.discard)


class _Call:
    """One run of code: its prints, its time, and how what it asks for is answered."""

    def __init__(self, grants: Grants, run_limit_s: float) -> None:
        self.started = time.perf_counter()
        self._grants = grants
        self._run_limit_s = run_limit_s
        self._printed: list[str] = []
        self._room = PRINT_LIMIT
        self._is_cut = False

    async def feed(self, session: AsyncMontySession, code: str, inputs: dict[str, Any]) -> object:
        """Run a piece of code to its end and return its last value, as the worker gives it."""
        from pydantic_monty import MontyComplete, MontyError

        try:
            snapshot = await session.feed_start(code, inputs=inputs, print_callback=self._print)
            while not isinstance(snapshot, MontyComplete):
                snapshot = await self._answer(snapshot)
            return snapshot.output
        except MontyError as error:
            raise self._explained(error) from error

    def outcome(self, text: object) -> Outcome:
        if not isinstance(text, str):
            raise self.failed("It gave back something that is no text.")
        if len(text) > RESULT_LIMIT:
            raise self.failed(f"The result is longer than {RESULT_LIMIT:,} characters. Return less.")
        try:
            # The worker writes everything but ASCII as escapes, which people and models read badly.
            plain = json.dumps(json.loads(text), ensure_ascii=False)
        except (ValueError, RecursionError) as error:
            raise self.failed("The result is no JSON.") from error
        return Outcome(storable(plain), storable(self.printed), self.duration_ms)

    @property
    def printed(self) -> str:
        return "".join(self._printed) + (CUT_MARK if self._is_cut else "")

    @property
    def duration_ms(self) -> float:
        return round(1000 * (time.perf_counter() - self.started), 1)

    def failed(self, message: str, line: int | None = None) -> CodeFailed:
        return CodeFailed(message, line=line, printed=self.printed, duration_ms=self.duration_ms)

    def _print(self, _stream: Literal["stdout", "stderr"], text: str) -> None:
        if self._room > 0:
            self._printed.append(text[: self._room])
        self._room -= len(text)
        self._is_cut = self._room < 0

    async def _answer(self, snapshot: Any) -> Any:
        """What the code waits for: a name that it does not define, a function of this program, the clock."""
        from pydantic_monty import AsyncFunctionSnapshot, AsyncNameLookupSnapshot

        if isinstance(snapshot, AsyncNameLookupSnapshot):
            name = snapshot.variable_name
            if name in self._grants.functions:
                return await snapshot.resume(value=_named(name))
            return await snapshot.resume()  # a NameError
        if not isinstance(snapshot, AsyncFunctionSnapshot):
            raise self.failed("It waits for something that never comes.")
        if snapshot.is_os_function:
            if snapshot.function_name.startswith(CLOCK):
                return await snapshot.resume({"exc_type": "PermissionError", "message": NO_CLOCK})
            return await snapshot.resume_not_handled()
        return await snapshot.resume(await self._called(snapshot))

    async def _called(self, snapshot: AsyncFunctionSnapshot) -> Any:
        name = snapshot.function_name
        function = self._grants.functions.get(name)
        if function is None:
            return {"exc_type": "NameError", "message": f"name {name!r} is not defined"}
        values = (*snapshot.args, *snapshot.kwargs.values())
        if len(values) != 1 or not isinstance(values[0], str):
            return {"exc_type": "TypeError", "message": f"{name}() takes one text"}
        try:
            return {"return_value": await function(values[0])}
        except (AppError, OSError, ValueError) as error:
            return {"exc_type": _kind(error), "message": str(error)}

    def _explained(self, error: MontyError) -> CodeFailed:
        """What the worker says, as its user would put it."""
        text = str(error)
        for words, message in (
            ("feed time limit exceeded", f"It ran for more than {self._run_limit_s:g} s and was stopped."),
            # In the middle of one long step (a power of large numbers), where the worker has to be killed.
            ("exceeding request timeout", f"It ran for more than {self._run_limit_s:g} s and was stopped."),
            ("memory limit", f"It needed more than {MEMORY_LIMIT_BYTES // 2**20} MB of memory."),
            ("suspension limit", f"It called Deskside's functions more than {FUNCTION_LIMIT} times."),
        ):
            if words in text:
                return self.failed(message)
        if hasattr(error, "exit_status"):
            logger.bind(source="child").error("a worker of the sandbox broke down")
            return self.failed("The sandbox broke down while it ran this code.")
        parser = "The monty syntax parser does not yet support "
        text = text.replace(f"NotImplementedError: {parser}", "The sandbox does not support ")
        if "is not JSON serializable" in text:
            text += ". Return text, numbers, true or false, None, lists and dictionaries"
        return self.failed(text[:2000], _line(error))


# The worker's name for the first piece of code that it is given; some faults of syntax have the script's.
OWN_LINES = ("<python-input-0>", "code.py")


def _line(error: Any) -> int | None:
    """The innermost line of the writer's own code, where the error has one."""
    frames = error.traceback() if hasattr(error, "traceback") else []
    lines = [frame.line for frame in frames if frame.filename in OWN_LINES]
    return cast(int, lines[-1]) if lines else None


def _session(monty: AsyncMonty, run_limit_s: float, grants: Grants) -> AsyncMontySession:
    limits: ResourceLimits = {
        "max_feed_duration_secs": run_limit_s,
        "max_memory": MEMORY_LIMIT_BYTES,
        "max_recursion_depth": RECURSION_LIMIT,
        "max_suspensions": FUNCTION_LIMIT,
    }
    # Nothing is gained by sleeping but a worker that is kept from others.
    policy: OSPolicy = {"sleep": "zero", "datetime": "system" if grants.has_clock else "call_host"}
    if grants.has_clock:
        policy["timezone"] = {"offset_seconds": time.localtime().tm_gmtoff, "name": time.localtime().tm_zone}
    return monty.checkout(script_name="code.py", limits=limits, os_policy=policy)


async def _open(workers: int) -> AsyncMonty:
    # 80 ms of imports, once.
    monty = await asyncio.to_thread(_import)
    try:
        pool: AsyncMonty = monty.AsyncMonty(
            binary_path=_binary(Path(monty.__file__)),
            min_processes=0,
            max_processes=workers,
            max_checkouts_per_worker=CALLS_A_WORKER,
        )
        return await pool.__aenter__()
    except OSError as error:
        raise CodeFailed(f"The sandbox cannot be started ({error}). Install Deskside again.") from error


async def _end(pool: AsyncMonty) -> None:
    await pool.__aexit__(None, None, None)


def _import() -> Any:
    import pydantic_monty

    return pydantic_monty


def _binary(package: Path) -> Path | None:
    """The worker's program where an installer put it: beside the packages, in `bin`. None leaves it to the
    library, which knows a virtual environment's."""
    beside = package.parents[1] / "bin" / ("monty.exe" if os.name == "nt" else "monty")
    return beside if beside.is_file() else None


def _named(name: str) -> Callable[[], None]:
    """A function by which the worker knows a name; it is never called here."""

    def stand_in() -> None: ...

    stand_in.__name__ = name
    return stand_in


def _kind(error: Exception) -> str:
    for kind in (FileNotFoundError, IsADirectoryError, NotADirectoryError, PermissionError, TimeoutError):
        if isinstance(error, kind):
            return kind.__name__
    return "ValueError" if isinstance(error, ValueError) else "OSError"


def keep_last(code: str) -> str | None:
    """The code with the value of its last expression kept as `__result`; lines stay where they are. None
    where the last statement is no expression, and where the parser does not understand the code: that is left
    for the worker to say.

    The parser only reads, and refuses what is nested too deeply for it.
    """
    try:
        statements = ast.parse(code).body
    except (SyntaxError, ValueError, MemoryError, RecursionError):
        return None
    last = statements[-1] if statements else None
    if not isinstance(last, ast.Expr) or last.end_lineno is None or last.end_col_offset is None:
        return None
    lines = code.encode().splitlines(keepends=True)
    before = b"".join(lines[: last.lineno - 1]) + lines[last.lineno - 1][: last.col_offset]
    after = lines[last.end_lineno - 1][last.end_col_offset :] + b"".join(lines[last.end_lineno :])
    whole = code.encode()
    value = whole[len(before) : len(whole) - len(after)]
    return b"".join((before, b"__result = (", value, b")", after)).decode()
