"""`deskside ask`: one question from the terminal, its answer streamed as it is written."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, TextIO

from deskside.backend.errors import StreamDropped
from deskside.shell.answers import answer
from deskside.shell.client import Client, Refused

if TYPE_CHECKING:
    from websockets.sync.client import ClientConnection


class ReplyText:
    """Puts a reply's text together from events that may repeat, and says what is new of it.

    A reply's text parts are printed in their order; between two of them comes an empty line.
    """

    def __init__(self) -> None:
        self._parts: dict[int, str] = {}

    @property
    def text(self) -> str:
        return "\n\n".join(self._parts[position] for position in sorted(self._parts) if self._parts[position])

    def append(self, position: int, offset: int, text: str) -> str:
        """Text at `offset`, in UTF-16 code units as the bridge counts. Returns what to print."""
        before = self.text
        known = self._parts.get(position, "").encode("utf-16-le", "surrogatepass")
        if offset * 2 > len(known):  # text between is missing; `finish` brings it
            return ""
        joined = known[: offset * 2] + text.encode("utf-16-le", "surrogatepass")
        if len(joined) > len(known):
            self._parts[position] = joined.decode("utf-16-le", "surrogatepass")
        return self.text[len(before) :]

    def finish(self, parts: list[dict[str, Any]]) -> str:
        """The stored reply, whole. Returns what of it was not printed yet."""
        before = self.text
        self._parts = {n: part["text"] for n, part in enumerate(parts) if part["kind"] == "text"}
        return self.text[len(before) :] if self.text.startswith(before) else ""

    def replace(self, position: int, parts: list[dict[str, Any]]) -> str:
        """From `position` on the parts are these: a step is made again. What was printed of it stays printed.
        Returns what to print to set apart what comes."""
        had_text = any(self._parts.get(n) for n in self._parts if n >= position)
        self._parts = {n: text for n, text in self._parts.items() if n < position}
        for n, part in enumerate(parts, position):
            if part["kind"] == "text":
                self._parts[n] = part["text"]
        return "\n\n" if had_text else ""


def ask(
    client: Client,
    question: str,
    model: str | None,
    as_json: bool,
    out: TextIO = sys.stdout,
    *,
    agent: str = "assistant",
) -> None:
    """Store the question, stream the answer to `out`, and return when it is stored.

    Raises Refused when it failed. Ctrl-C, and an output that nobody reads any more, stop the run, keep what
    was said, and are raised again.
    """
    with client.socket() as socket:
        started = client.call("runs.start", {"text": question, "model": model, "agent": agent})
        reply_id = started["reply"]["id"]
        try:
            reply, text = _follow(client, socket, started["reply"], None if as_json else out)
        except (KeyboardInterrupt, BrokenPipeError):
            client.call("runs.stop", {"message_id": reply_id})
            raise
    if as_json:
        print(json_for(_summary(reply, text), out), file=out, flush=True)
    elif text and not text.endswith("\n"):
        print(file=out, flush=True)
    if reply["status"] != "complete":
        error = reply["error"] or {"message": f"The answer was {reply['status']}.", "hint": ""}
        raise Refused(error["message"], hint=_for_a_terminal(error["hint"]))


def _for_a_terminal(hint: str) -> str:
    """Hints are written for the window, whose buttons are not here."""
    hint = hint.replace("Press Continue or Retry.", "Ask again, or press Continue in Deskside's window.")
    return hint.replace("press Retry", "ask again").replace("Press Retry", "Ask again")


def json_for(value: Any, out: TextIO, indent: int | None = None) -> str:
    """JSON that `out` can take: where it is not Unicode, other characters are escaped, not replaced."""
    is_unicode = (out.encoding or "utf-8").lower().startswith("utf")
    return json.dumps(value, ensure_ascii=not is_unicode, indent=indent)


def _follow(
    client: Client, socket: ClientConnection, reply: dict[str, Any], out: TextIO | None
) -> tuple[dict[str, Any], str]:
    """Read events until the reply is no longer streaming; its row and its text."""
    text = ReplyText()
    while reply["status"] == "streaming":
        fresh = ""
        for kind, event in _events(client, socket, reply):
            if kind == "part_changed":
                answer(client, event["message_id"], event["position"], event["part"])
            elif kind == "parts_replaced":
                fresh += text.replace(event["position"], event["parts"])
            elif kind == "text_appended":
                fresh += text.append(event["position"], event["offset"], event["text"])
            elif event["status"] != "streaming":
                reply = event
                fresh += text.finish(reply["parts"])
        if out is not None and fresh:
            print(fresh, end="", file=out, flush=True)
    return reply, text.text


def _events(
    client: Client, socket: ClientConnection, reply: dict[str, Any]
) -> Iterator[tuple[str, dict[str, Any]]]:
    """What one frame says of the reply: ("text_appended", event), ("parts_replaced", event) or ("message",
    row); and ("part_changed", event) for what waits for the user in it or in the work of agents it asked."""
    from websockets.exceptions import ConnectionClosed

    try:
        frame = json.loads(socket.recv())
    except ConnectionClosed as error:
        raise StreamDropped("Deskside was closed while it answered.", hint="Ask again.") from error
    if frame["t"] == "hello":  # so slow that events were dropped: look at what is stored
        page = client.call("messages.page", {"conversation_id": reply["conversation_id"]})
        for row in page["messages"]:
            if row["id"] == reply["id"]:
                yield from _waiting(client, row)
                yield "message", row
    for event in frame.get("events", ()):
        if event["type"] == "text_appended" and event["kind"] == "text":
            if event["message_id"] == reply["id"]:
                yield "text_appended", event
        elif event["type"] == "message_changed" and event["message"]["id"] == reply["id"]:
            yield "message", event["message"]
        elif event["type"] == "parts_replaced" and event["message_id"] == reply["id"]:
            yield "parts_replaced", event
        elif _waits_in(event, reply["conversation_id"]):
            yield "part_changed", event


def _waiting(client: Client, row: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """What waits for the user in a row, and in those of the agents it asked, as if it had just been told."""
    for position, part in enumerate(row["parts"]):
        if part.get("status") == "waiting":
            yield "part_changed", {"message_id": row["id"], "position": position, "part": part}
    if any(part.get("is_agent") and part["output"] is None for part in row["parts"]):
        for below in client.call("messages.delegated", {"message_id": row["id"]}):
            yield from _waiting(client, below)


def _waits_in(event: dict[str, Any], conversation_id: int) -> bool:
    is_change = event["type"] == "part_changed" and event["conversation_id"] == conversation_id
    return bool(is_change and event["part"].get("status") == "waiting")


def _summary(reply: dict[str, Any], text: str) -> dict[str, Any]:
    kept = ("conversation_id", "id", "status", "model", "usage", "error")
    return {**{name: reply[name] for name in kept}, "text": text}
