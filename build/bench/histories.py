#!/usr/bin/env python3
"""What it costs to make a request of a long history: from our items to the bytes that are sent.

    python build/bench/histories.py [--turns 200] [--characters 500] [--rounds 50]

A history of so many tool turns (a sentence, a call, its result of so many characters), in plain ASCII and
with characters beyond it, as each wire format: the first time, and again with the next step. Printed are
milliseconds of CPU, and the ratio to what the results alone cost as bytes in one piece (`floor`) round by
round, each as min / median / max. Every result is another text, because a text keeps its UTF-8 once something
has asked for it.

There is no aim for results with something hidden in each of them, which has to be taken out: that is not what
tools return.
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
    "with hidden": "Zwölf Boxkämpfer jagen\u200b Viktor. ",
}


def history_of(turns: int, text: str, characters: int) -> list[HistoryItem]:
    """A question and what tools were asked for because of it."""
    history: list[HistoryItem] = [UserText("Work all of this out, please.")]
    for turn in range(turns):
        arguments = msgspec.json.encode({"expression": f"{turn} * 2"}).decode()
        history += [
            AssistantText(f"Let me look at number {turn}."),
            ToolRequested(f"call_{turn}", "calculate", arguments),
            ToolFinished(f"call_{turn}", f"{turn}: {text * characters}"[:characters]),
        ]
    return history


def floor(history: list[HistoryItem]) -> bytes:
    """The least that anything does with these results."""
    return b"".join([item.output.encode() for item in history if type(item) is ToolFinished])


def spent_ms(work: Callable[[], object]) -> float:
    gc.collect()
    before = time.process_time()
    work()
    return (time.process_time() - before) * 1000


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--turns", type=int, default=200)
    parser.add_argument("--characters", type=int, default=500, help="of each result")
    parser.add_argument("--rounds", type=int, default=50)
    options = parser.parse_args()
    spent: dict[tuple[str, str, str], list[float]] = {}
    ratios: dict[tuple[str, str, str], list[float]] = {}
    for _ in range(options.rounds):
        for kind, text in RESULTS.items():
            for wire, body in BODIES.items():
                history = history_of(options.turns, text, options.characters)
                request = ModelRequest(history, "You are helpful.", [calculate.spec])
                floor_ms = spent_ms(lambda made=history: floor(made))
                spent.setdefault(("floor", kind, ""), []).append(floor_ms)
                for time_ in ("first", "again"):
                    each = spent_ms(lambda made=body, of=request: msgspec.json.encode(made(of)))
                    spent.setdefault((wire, kind, time_), []).append(each)
                    ratios.setdefault((wire, kind, time_), []).append(each / floor_ms)
    print(
        f"{options.turns} tool turns, {options.characters} characters each: ms of CPU, and ratio to the floor"
    )
    for (wire, kind, time_), each_spent in spent.items():
        ratio = spread(ratios.get((wire, kind, time_), [1.0]), ".1f")
        aim = f"   aim {AIM_MS}" if wire != "floor" and kind != "with hidden" else ""
        print(f"{wire}, {kind}, {time_}".ljust(32) + f"{spread(each_spent, '.2f'):>22}{ratio:>22}{aim}")


if __name__ == "__main__":
    main()
