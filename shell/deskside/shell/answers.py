"""What a run asks the user while `deskside ask` follows it: whether a tool may run, whether to pass a limit.

Where there is a terminal on both sides, the question is asked there, and Enter is no. Where there is none,
nobody can answer, so the answer is no, and the model is told why.
"""

from __future__ import annotations

import sys
from typing import Any

from deskside.shell.client import Client, Refused

NOBODY = "Nobody can be asked: this question came from a program, not from a person at a terminal."
YES = ("y", "yes")


def answer(client: Client, message_id: int, position: int, part: dict[str, Any]) -> None:
    """Answer a part that waits. Nothing happens where it has been answered elsewhere meanwhile."""
    try:
        if part["kind"] == "pause":
            params = {"message_id": message_id, "position": position, "go_on": _goes_on(part)}
            client.call("runs.decide_pause", params)
        else:
            client.call("runs.decide", {"message_id": message_id, "position": position, **_decision(part)})
    except Refused as error:
        # Somebody answered in the window.
        print(f"deskside: {error.message}", file=sys.stderr, flush=True)


def _decision(part: dict[str, Any]) -> dict[str, Any]:
    question = part["approval"]
    _say(f"\nDeskside asks whether {part['name']} may run. {' '.join(question['reasons'])}")
    if question["summary"]:
        _say(question["summary"])
    if question["diff"]:
        _say(question["diff"])
    _say(f"Arguments: {part['arguments']}")
    for source in question["outside"]:
        _say(f"Text from outside: {source}")
    if not _is_person():
        return {"decision": "denied", "reason": NOBODY}
    return {"decision": "approved" if _asked("Allow it once? [y/N] ") else "denied"}


def _goes_on(part: dict[str, Any]) -> bool:
    _say(f"\n{part['text']}")
    return _is_person() and _asked("Go on all the same? [y/N] ")


def _asked(prompt: str) -> bool:
    print(prompt, end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip().lower() in YES


def _is_person() -> bool:
    return sys.stdin is not None and sys.stdin.isatty() and sys.stderr.isatty()


def _say(text: str) -> None:
    print(visible(text), file=sys.stderr, flush=True)


def visible(text: str) -> str:
    """The text with what a terminal would act on, or a person not see, written out."""
    return "".join(each if each.isprintable() or each == "\n" else f"\\u{ord(each):04x}" for each in text)
