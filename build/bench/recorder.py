#!/usr/bin/env python3
"""What recording costs: whole runs with the recorder on and off, one after the other in the same process.

    python build/bench/recorder.py [--chunks 200] [--rounds 30] [--delay-s 0.005]

Printed are milliseconds of CPU of a reply, of this process with all of its threads, and how much more it is
with the recorder, each as min / median / max; and what a recording takes: bytes for each group of chunks, and
for all else. Replies come in one burst, and then at the speed of a model, when there are more groups.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import statistics
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

ROOT = Path(__file__).resolve().parents[2]
for root in ("shell", "bridge", "backend", "build"):
    sys.path.insert(0, str(ROOT / root))

from loguru import logger  # noqa: E402

from bench.chunks import KEY, loop_factory, spread, whole_run  # noqa: E402
from deskside.backend.agent.providers import make_model  # noqa: E402
from deskside.backend.agent.recording import ModelSaid  # noqa: E402
from deskside.backend.agent.transport import Http  # noqa: E402
from deskside.backend.app import App, open_app  # noqa: E402
from deskside.backend.paths import Paths  # noqa: E402
from deskside.backend.store import recorded_items, runs  # noqa: E402
from deskside.backend.store.connection import Db  # noqa: E402
from deskside.backend.store.text import as_json  # noqa: E402

MODEL = "bench/chat"
MOST_PERCENT = 10
MOST_BYTES = 1024


@asynccontextmanager
async def opened(url: str) -> AsyncIterator[App]:
    async with Http() as http:
        model = make_model("local/m", key=KEY, http=http, base_url=url)
        with TemporaryDirectory(prefix="deskside-bench-") as name:
            folder = Path(name)
            async with open_app(Paths(folder, folder / "logs", folder / "cache"), {MODEL: model}) as app:
                yield app


async def measure(url: str, rounds: int) -> None:
    spent_ms: dict[bool, list[float]] = {False: [], True: []}
    async with opened(url) as app:
        for n in range(rounds + 3):
            for is_on in (n % 2 == 0, n % 2 == 1):  # neither always comes first
                await app.settings.change({"records_runs": is_on})
                gc.collect()
                before = time.process_time()
                await whole_run(app, MODEL)
                if n >= 3:
                    spent_ms[is_on].append((time.process_time() - before) * 1000)
        more = [100 * (on / off - 1) for on, off in zip(spent_ms[True], spent_ms[False], strict=True)]
        middle = 100 * (statistics.median(spent_ms[True]) / statistics.median(spent_ms[False]) - 1)
        print(f"{'off':<12}{spread(spent_ms[False], '.2f'):>26} ms")
        print(f"{'on':<12}{spread(spent_ms[True], '.2f'):>26} ms")
        print(
            f"{'more':<12}{spread(more, '.1f'):>26} %   of the medians {middle:.1f} %   aim {MOST_PERCENT} %"
        )
        print(await app.store.read(sizes))


def sizes(db: Db) -> str:
    (run_id,) = db.sql.execute("select max(run) from run_event").fetchone()
    said = [fact for _, _, fact in runs.events(db, run_id) if isinstance(fact, ModelSaid)]
    groups = sum(len(fact.groups) for fact in said)
    # They are packed with what happened beside them: alone they take rather more.
    of_groups = sum(len(recorded_items.packed(as_json(fact))) for fact in said)
    (whole,) = db.sql.execute(
        "select sum(length(data) + ifnull(length(packed), 0) + ifnull(length(items), 0)) "
        "from run_event where run = ?",
        (run_id,),
    ).fetchone()
    return (
        f"{groups} groups: {of_groups / groups:.0f} bytes each (aim {MOST_BYTES}), with all else of the run "
        f"{whole / groups:.0f}; the run {whole} bytes"
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--chunks", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--delay-s", type=float, default=0.005, help="between two chunks, in the second part")
    options = parser.parse_args()
    logger.remove()  # the log's file is not what is measured here
    for delay_s in (0.0, options.delay_s):
        print(f"\n{options.chunks} chunks, {delay_s:g} s between two")
        command = [
            sys.executable,
            str(ROOT / "tests" / "provider_server.py"),
            "--chunks",
            str(options.chunks),
        ]
        command += ["--chunk-delay-s", str(delay_s)]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
            assert server.stdout is not None
            try:
                url = json.loads(server.stdout.readline())["openai_url"]
                with asyncio.Runner(loop_factory=loop_factory()) as runner:
                    runner.run(measure(url, options.rounds))
            finally:
                server.terminate()


if __name__ == "__main__":
    main()
