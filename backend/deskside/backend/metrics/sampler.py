"""Reads the machine and our own processes, again and again, on a thread of its own.

Invariants
  - The event loop never waits for a reading: it gets each sample when it is done.
  - What cannot be read (a process that ended, a counter that the system lacks or denies) is None in its
    sample, and the next one is taken all the same.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, NamedTuple

from loguru import logger

from deskside.backend.metrics.power import saves_power
from deskside.backend.metrics.samples import Sample
from deskside.backend.store.text import now_ms

USUAL_S = 30.0
WATCHED_S = 1.0
# The start of the program belongs to the user.
FIRST_S = 5.0
# To find out who started whom, every process of the machine is looked at: as much again as all else.
FIND_CHILDREN_EVERY_S = 5.0


class Totals(NamedTuple):
    """What our processes used since the sampler began: seconds of processor time, and bytes. `sampler_s` is
    what the sampler itself used of that time."""

    cpu_s: float = 0.0
    read_bytes: float = 0
    written_bytes: float = 0
    sampler_s: float = 0.0


class _Facts(NamedTuple):
    used: Totals
    memory_bytes: int
    threads: int | None
    open_files: int | None


class Sampler:
    """Takes a sample every 30 s, every second while somebody watches, and none while it is paused or the
    machine saves power.

    `deliver` and `saves_power` are called on the sampler's thread.
    """

    def __init__(
        self,
        data: Path,
        deliver: Callable[[Sample, Totals], None],
        saves_power: Callable[[], bool] | None = None,
        usual_s: float = USUAL_S,
        first_s: float = FIRST_S,
    ) -> None:
        self._saves_power = saves_power or _saves_power
        self._usual_s = usual_s
        self._first_s = first_s
        self._data = data
        self._deliver = deliver
        self._watchers = 0
        self._is_paused = False
        self._is_closing = False
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._run, name="sampler", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        """Returns when the thread has ended: once the sample that it is taking is done, some milliseconds."""
        with self._changed:
            self._is_closing = True
            self._changed.notify()
        self._thread.join()

    @property
    def is_watched(self) -> bool:
        """Whether somebody looks on, so that a sample is taken every second."""
        return self._watchers > 0

    def watch(self, change: int) -> None:
        """One more who looks on (1), or one fewer (-1)."""
        with self._changed:
            self._watchers += change
            self._changed.notify()

    def pause(self, is_paused: bool) -> None:
        """Take no samples for now (on battery, say), or go on. Who watches still gets them."""
        with self._changed:
            self._is_paused = is_paused
            self._changed.notify()

    def _run(self) -> None:
        readings: Readings | None = None
        last_s = time.monotonic() - self._usual_s + self._first_s
        while self._wait_until_due(last_s):
            last_s = time.monotonic()
            if not self.is_watched and self._saves_power():
                continue
            if readings is None:
                readings = Readings(self._data)
            self._deliver(*readings.take())

    def _wait_until_due(self, last_s: float) -> bool:
        """Until the next sample is to be taken; False when none is any more."""
        with self._changed:
            while not self._is_closing:
                left_s = None
                if self.is_watched or not self._is_paused:
                    left_s = last_s + (WATCHED_S if self.is_watched else self._usual_s) - time.monotonic()
                    if left_s <= 0:
                        return True
                self._changed.wait(left_s)
        return False


def _saves_power() -> bool:
    import psutil

    return saves_power(psutil)


class Readings:
    """What is remembered from one sample to the next. Used on one thread."""

    def __init__(self, data: Path) -> None:
        import psutil  # on the sampler's thread: it takes 20 ms that a start need not wait for

        self._psutil = psutil
        self._data = str(data)
        self._ours = psutil.Process()
        self._children: list[Any] = []
        self._look_for_children_s = 0.0
        self._used: dict[Any, Totals] = {}
        self._totals = Totals()
        self._last_s: float | None = None
        self._machine_disk: tuple[float, float] | None = None

    def take(self) -> tuple[Sample, Totals]:
        """Read everything once. Raises nothing that a system may answer with."""
        began = time.thread_time()
        now_s = time.monotonic()
        before, since_s = self._totals, None if self._last_s is None else now_s - self._last_s
        self._last_s = now_s
        ours = self._read_ours(now_s)
        machine = self._read_machine(since_s)
        took_s = time.thread_time() - began
        used = self._totals
        if since_s is not None:
            cores = self._psutil.cpu_count() or 1
            ours |= {
                "cpu_percent": 100 * (used.cpu_s - before.cpu_s) / since_s / cores,
                "read_bytes_per_s": (used.read_bytes - before.read_bytes) / since_s,
                "written_bytes_per_s": (used.written_bytes - before.written_bytes) / since_s,
            }
        self._totals = used._replace(sampler_s=used.sampler_s + took_s)
        sample = Sample(now_ms(), **ours, **machine, sampler_ms=1000 * took_s)
        return sample, self._totals

    # -- our processes -----------------------------------------------------------------------------

    def _read_ours(self, now_s: float) -> dict[str, Any]:
        if now_s >= self._look_for_children_s:
            self._look_for_children_s = now_s + FIND_CHILDREN_EVERY_S
            found = self._tried(lambda: self._ours.children(recursive=True)) or []
            known = {child: child for child in self._children}
            self._children = [known.get(child, child) for child in found]
        facts = []
        used: dict[Any, Totals] = {}
        for process in (self._ours, *self._children):
            read = self._read_process(process)
            if read is not None:
                facts.append(read)
                used[process] = read.used
        self._add_up(used)
        return {
            "memory_bytes": _total(each.memory_bytes for each in facts),
            "threads": _total(each.threads for each in facts),
            "open_files": _total(each.open_files for each in facts),
            "processes": len(facts) or None,
        }

    def _read_process(self, process: Any) -> _Facts | None:
        """None where it has ended. The system may deny single facts: of a web engine's sandboxed processes,
        say, which files they have open."""
        with process.oneshot():
            times = self._tried(process.cpu_times)
            memory = self._tried(process.memory_info)
            threads = self._tried(process.num_threads)
            if times is None or memory is None:
                return None
            counted = self._tried(lambda: process.io_counters())  # not on a Mac
            files = self._tried(process.num_handles if os.name == "nt" else process.num_fds)
        read, written = (0, 0) if counted is None else (counted.read_bytes, counted.write_bytes)
        return _Facts(Totals(times.user + times.system, read, written), memory.rss, threads, files)

    def _add_up(self, used: dict[Any, Totals]) -> None:
        """Totals never fall: what a process that has ended used stays in them."""
        cpu_s, read, written, sampler_s = self._totals
        is_first = not self._used
        for process, now in used.items():
            # What a child that was not there before has used, it used since then; not so at the first look.
            before = self._used.get(process, now if is_first else Totals())
            cpu_s += max(0.0, now.cpu_s - before.cpu_s)
            read += max(0, now.read_bytes - before.read_bytes)
            written += max(0, now.written_bytes - before.written_bytes)
        self._used = used
        self._totals = Totals(cpu_s, read, written, sampler_s)

    # -- the machine -------------------------------------------------------------------------------

    def _read_machine(self, since_s: float | None) -> dict[str, Any]:
        psutil = self._psutil
        cpu = self._tried(psutil.cpu_percent)
        memory = self._tried(psutil.virtual_memory)
        disk = self._tried(lambda: psutil.disk_usage(self._data))
        counted = self._tried(psutil.disk_io_counters)
        before, now = self._machine_disk, counted and (counted.read_bytes, counted.write_bytes)
        self._machine_disk = now
        read = written = None
        if since_s is not None and before is not None and now is not None:
            read, written = ((new - old) / since_s for new, old in zip(now, before, strict=True))
        return {
            # The first of a thread is the mean since the machine started.
            "machine_cpu_percent": None if since_s is None else cpu,
            "machine_memory_bytes": memory and memory.total - memory.available,
            "machine_read_bytes_per_s": read,
            "machine_written_bytes_per_s": written,
            "disk_free_bytes": disk and disk.free,
        }

    def _tried(self, read: Callable[[], Any]) -> Any:
        """None where the system has no answer."""
        try:
            return read()
        except (self._psutil.Error, OSError, AttributeError, NotImplementedError) as error:
            logger.debug("a reading is missing: {}", type(error).__name__)
            return None


def _total(values: Iterable[int | None]) -> int | None:
    known = [value for value in values if value is not None]
    return sum(known) if known else None
