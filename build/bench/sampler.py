"""What it costs that Deskside measures itself.

    python build/bench/sampler.py [--seconds 20] [--rounds 3]

First a program that takes a sample every second, with as many child processes as a window has, beside the
same one without a sampler, in turn: processor time of the process as a part of one core. Samples every 30 s
are too few to be told from noise that way, so what one takes is read off the thread's own clock and shared
out over 30 s. Then what one observation (of a command, a tool, a provider's answer, a store function) costs,
beside a call of an empty function. Exits with 1 where a sample every 30 s costs more than 0.2 % of a core.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import time
import timeit
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / root) for root in ("shell", "bridge", "backend")]

from deskside.backend.agent.events import TextDelta, Usage, UsageReported  # noqa: E402 - a bare checkout
from deskside.backend.agent.provider_calls import ProviderCalls  # noqa: E402
from deskside.backend.metrics import sampler  # noqa: E402
from deskside.backend.metrics.sampler import USUAL_S, Readings, Sampler  # noqa: E402
from deskside.backend.metrics.timings import Timings  # noqa: E402

CHILDREN = 6
AIM_PERCENT = 0.2


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--seconds", type=float, default=20)
    arguments.add_argument("--rounds", type=int, default=3)
    options = arguments.parse_args()
    with children(CHILDREN):
        usual_percent = samples(options.seconds, options.rounds)
    observations()
    return 0 if usual_percent <= AIM_PERCENT else 1


@contextmanager
def children(count: int) -> Iterator[None]:
    """Processes that wait, as those of a web engine do."""
    waiting = [
        subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) for _ in range(count)
    ]
    try:
        yield
    finally:
        for process in waiting:
            process.kill()
            process.wait()
            assert process.stdin is not None
            process.stdin.close()


def samples(seconds: float, rounds: int) -> float:
    """Prints, and returns what a sample every 30 s costs, in percent of a core."""
    Readings(ROOT).take()  # imports psutil
    without, watched = [], []
    for _ in range(rounds):
        without.append(used_percent(seconds, is_watched=False))
        watched.append(used_percent(seconds, is_watched=True))
    once_s = one_sample_s()
    usual_percent = 100 * once_s / USUAL_S
    print("processor time, % of one core (median of rounds)")
    print(f"  without a sampler      {statistics.median(without):8.4f}")
    print(f"  a sample every second  {statistics.median(watched):8.4f}")
    print(f"one sample takes         {1000 * once_s:8.2f} ms of processor time, with a look at all processes")
    print(f"  so one every {USUAL_S:.0f} s      {usual_percent:8.4f} % of one core (aim: {AIM_PERCENT} %)")
    return usual_percent


def used_percent(seconds: float, *, is_watched: bool) -> float:
    watched = Sampler(ROOT, lambda sample, totals: None)
    if is_watched:
        watched.watch(1)
        watched.start()
    before = time.process_time()
    time.sleep(seconds)
    used_s = time.process_time() - before
    if is_watched:
        watched.close()
    return 100 * used_s / seconds


def one_sample_s() -> float:
    """The dearest kind, each time with a look at who started whom: rare samples all are of that kind."""
    sampler.FIND_CHILDREN_EVERY_S = 0.0
    readings = Readings(ROOT)
    readings.take()
    took = []
    for _ in range(50):
        began = time.thread_time()
        readings.take()
        took.append(time.thread_time() - began)
    return statistics.median(took)


def observations() -> None:
    timings, calls = Timings(), ProviderCalls()
    text, used = TextDelta("word "), UsageReported(Usage(10, 0, 0, 200))

    def nothing(name: str, seconds: float) -> None:
        """What a call alone costs."""

    def answer() -> None:
        """All that is observed of one answer of a provider, however many chunks it has."""
        with calls.begin("openai") as call:
            call.answered()
            call.saw(text)
            call.saw(used)

    print("one observation, µs (best of 5)")
    for label, run in (
        ("an empty function", lambda: nothing("runs.start", 0.0123)),
        ("a command, tool or store function", lambda: timings.observe("runs.start", 0.0123)),
        ("the same, failed", lambda: timings.observe("runs.start", 0.0123, "not_found")),
        ("a whole answer of a provider", answer),
    ):
        best_s = min(timeit.repeat(run, number=100_000, repeat=5)) / 100_000
        print(f"  {label:34}{1e6 * best_s:6.2f}")


if __name__ == "__main__":
    sys.exit(main())
