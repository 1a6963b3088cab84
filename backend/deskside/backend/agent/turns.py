"""A history as the turns that every provider's format is made of.

A history is flat; the formats want the user's words, what the assistant said and asked for, and the
results of its tools as alternating groups. Invariants kept here, because providers refuse a request
that breaks them and the conversation could then never be continued:

  - Two turns of the same kind never follow each other. (Chat templates of local models demand it.)
  - The last word is never the assistant's: an answer that broke off is continued by asking for the rest.
    (Anthropic's newer models refuse to complete a message; others begin anew.)
  - Blank text is left out (Anthropic refuses it), and half characters (lone surrogates) are replaced.
  - What a tool answered is without invisible characters, what the user wrote without hidden tags: this is
    the one place that all a model reads comes through (invisible.py).
  - Reasoning stands before what it led to; reasoning that was cut off is left out. (OpenAI refuses it.)
  - Every `ToolRequested` is followed by exactly one result, in the order of the requests, before
    anything else; one that has none, after a crash, gets a failed one that says so. A result
    nobody asked for is left out.
  - No two requests have the same id. (What earlier versions stored can repeat them; providers refuse that.)
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from weakref import WeakKeyDictionary

import msgspec

from deskside.backend.agent.events import (
    AssistantReasoning,
    AssistantText,
    HistoryItem,
    Summary,
    ToolFinished,
    ToolRequested,
    UserText,
)
from deskside.backend.agent.invisible import without_invisible, without_tags

GO_ON = "Your answer was cut off. Go on exactly where it stops, without repeating anything."


class UserTurn(msgspec.Struct, frozen=True):
    text: str


class AssistantTurn(msgspec.Struct, frozen=True):
    items: Sequence[AssistantText | AssistantReasoning | ToolRequested]

    @property
    def text(self) -> str:
        return "".join(item.text for item in self.items if isinstance(item, AssistantText))

    @property
    def requests(self) -> list[ToolRequested]:
        return [item for item in self.items if isinstance(item, ToolRequested)]


class ToolTurn(msgspec.Struct, frozen=True):
    results: Sequence[ToolFinished]


Turn = UserTurn | AssistantTurn | ToolTurn


def turns(history: Iterable[HistoryItem]) -> list[Turn]:
    """Group a history by who speaks. Costs a few microseconds an item."""
    grouping = _Grouping()
    for item in history:
        grouping.add(item)
    grouping.close_assistant()
    if grouping.turns and isinstance(grouping.turns[-1], AssistantTurn):
        grouping.turns.append(UserTurn(GO_ON))
    return grouping.turns


class _Grouping:
    def __init__(self) -> None:
        self.turns: list[Turn] = []
        self._said: list[AssistantText | AssistantReasoning | ToolRequested] = []
        self._ids: set[str] = set()
        self._unanswered: list[tuple[str, str]] = []  # the id in the history, and the one that is sent
        self._results: dict[str, ToolFinished] = {}

    def add(self, item: HistoryItem) -> None:
        if isinstance(item, ToolFinished):
            self._add_result(item)
        elif isinstance(item, UserText):
            self._add_user(without_tags(item.text))
        elif isinstance(item, Summary):
            self._add_user(without_invisible(item.text))
        else:
            self._add_assistant(item)

    def _add_user(self, text: str) -> None:
        if not text.strip():
            return
        self.close_assistant()
        text = _whole(text)
        last = self.turns[-1] if self.turns else None
        if isinstance(last, UserTurn):
            self.turns[-1] = UserTurn(f"{last.text}\n\n{text}")
        else:
            self.turns.append(UserTurn(text))

    def _add_assistant(self, item: AssistantText | AssistantReasoning | ToolRequested) -> None:
        if isinstance(item, AssistantText) and not item.text.strip():
            return
        if self._results:
            self.close_assistant()
        if isinstance(item, ToolRequested):
            item = self._with_own_id(item)
        self._said.append(item)

    def _with_own_id(self, request: ToolRequested) -> ToolRequested:
        own, number = request.call_id or "call", 1
        while own in self._ids:
            number += 1
            own = f"{request.call_id or 'call'}_{number}"
        self._ids.add(own)
        self._unanswered.append((request.call_id, own))
        return request if own == request.call_id else msgspec.structs.replace(request, call_id=own)

    def _add_result(self, result: ToolFinished) -> None:
        for place, (call_id, own) in enumerate(self._unanswered):
            if call_id == result.call_id:
                del self._unanswered[place]
                read = _as_read(result)
                same = own == call_id
                self._results[own] = read if same else msgspec.structs.replace(read, call_id=own)
                return

    def close_assistant(self) -> None:
        """Ends what the assistant said, and answers what it asked for."""
        while self._said and isinstance(self._said[-1], AssistantReasoning):
            self._said.pop()
        if self._said:
            turn = AssistantTurn(tuple(self._said))
            self.turns.append(turn)
            requests = turn.requests
            if requests:
                self.turns.append(ToolTurn([self._result(request) for request in requests]))
        self._said = []
        self._unanswered = []
        self._results = {}

    def _result(self, request: ToolRequested) -> ToolFinished:
        result = self._results.get(request.call_id)
        if result is None:
            return ToolFinished(request.call_id, "This call was interrupted and has no result.", failed=True)
        return result


# A run sends what its tools said again with each step. What a long page is without invisible characters takes
# milliseconds to find out, so it is kept for as long as the history is.
_read: WeakKeyDictionary[ToolFinished, str] = WeakKeyDictionary()


def _as_read(result: ToolFinished) -> ToolFinished:
    """A result as a model reads it."""
    if result.output.isascii():
        return result
    output = _read.get(result)
    if output is None:
        output = _whole(without_invisible(result.output))
        output = _read[result] = result.output if output == result.output else output
    return result if output is result.output else msgspec.structs.replace(result, output=output)


def _whole(text: str) -> str:
    return text if text.isascii() else text.encode(errors="replace").decode()


_decode_object = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


def arguments_object(arguments: str) -> msgspec.Raw:
    """A tool call's arguments as the text of a JSON object.

    Models sometimes write invalid JSON. Anthropic and chat templates want an object nevertheless, so
    the model is shown what it wrote as the one field `invalid_json`.
    """
    return msgspec.Raw(arguments_text(arguments).encode())


def arguments_text(arguments: str) -> str:
    """As `arguments_object`, for the formats that take the object as a text."""
    if not arguments.strip():
        return "{}"
    try:
        _decode_object(arguments)
    except (msgspec.DecodeError, UnicodeError):
        return msgspec.json.encode({"invalid_json": arguments}).decode()
    return arguments


def is_complete_json(arguments: str) -> bool:
    """False where a call's arguments were cut off (or never were JSON)."""
    try:
        msgspec.json.decode(arguments or "{}", type=msgspec.Raw)
    except (msgspec.DecodeError, UnicodeError):
        return False
    return True
