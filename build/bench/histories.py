#!/usr/bin/env python3
"""What it costs to make a request of a long history: from our items to the bytes that are sent.

    python build/bench/histories.py [--turns 200] [--characters 500] [--rounds 50]

A history of so many tool turns (a sentence, a call, its result of so many characters), in plain ASCII and
with characters beyond it, as each wire format: the first time, and again with the next step. Printed are
milliseconds of CPU, min / median / max. The aim is for all but the first time beyond ASCII, where invisible
characters have to be looked for.
"""

from __future__ import annotations

import argparse
import gc
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
for root in ("shell", "bridge", "backend", "build"):
    sys.path.insert(0, str(ROOT / root))

import msgspec  # noqa: E402

from bench.chunks import spread  # noqa: E402
from deskside.backend.agent.anthropic_messages import messages_body  # noqa: E402
from deskside.backend.agent.events import (  # noqa: E402
    AssistantText,
    HistoryItem,
    ModelRequest,
    ToolFinished,
    ToolRequested,
    UserText,
)
from deskside.backend.agent.openai_chat import chat_body  # noqa: E402
from deskside.backend.agent.openai_responses import responses_body  # noqa: E402
from deskside.backend.tools.calculate import calculate  # noqa: E402

AIM_MS = 1.5
BODIES: dict[str, Callable[[ModelRequest], Any]] = {
    "chat": lambda request: chat_body("m", request, set()),
    "responses": lambda request: responses_body("openai/m", request, set()),
    "messages": lambda request: messages_body("anthropic/m", request, set()),
}
RESULTS = {
    "ASCII": "The quick brown fox jumps. ",
    "beyond ASCII": "Zwölf Boxkämpfer jagen Viktor — und 日本語. ",
    "with emoji": "Zwölf Boxkämpfer jagen Viktor über den großen Sylter Deich \u2764\ufe0f. ",
}


def history_of(turns: int, result: str) -> list[HistoryItem]:
    """A question and what tools were asked for because of it."""
    history: list[HistoryItem] = [UserText("Work all of this out, please.")]
    for turn in range(turns):
        arguments = msgspec.json.encode({"expression": f"{turn} * 2"}).decode()
        history += [
            AssistantText(f"Let me look at number {turn}."),
            ToolRequested(f"call_{turn}", "calculate", arguments),
            ToolFinished(f"call_{turn}", result),
        ]
    return history


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--turns", type=int, default=200)
    parser.add_argument("--characters", type=int, default=500, help="of each result")
    parser.add_argument("--rounds", type=int, default=50)
    options = parser.parse_args()
    spent_ms: dict[tuple[str, str, str], list[float]] = {}
    for _ in range(options.rounds):
        for kind, text in RESULTS.items():
            result = (text * options.characters)[: options.characters]
            request = ModelRequest([], "You are helpful.", [calculate.spec])
            for wire, body in BODIES.items():
                request = msgspec.structs.replace(request, history=history_of(options.turns, result))
                for time_ in ("first", "again"):
                    gc.collect()
                    before = time.process_time()
                    msgspec.json.encode(body(request))
                    spent = (time.process_time() - before) * 1000
                    spent_ms.setdefault((wire, kind, time_), []).append(spent)
    print(f"{options.turns} tool turns, {options.characters} characters each: ms of CPU")
    for (wire, kind, time_), spent_each in spent_ms.items():
        aim = f"   aim {AIM_MS}" if kind == "ASCII" or time_ == "again" else ""
        print(f"{wire}, {kind}, {time_:<12}".ljust(36) + f"{spread(spent_each, '.2f'):>24}{aim}")


if __name__ == "__main__":
    main()
