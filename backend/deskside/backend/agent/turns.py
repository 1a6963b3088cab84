"""A history as the turns that every provider's format is made of.

A history is flat; the formats want the user's words, what the assistant said and asked for, and the
results of its tools as alternating groups. Invariants kept here, because providers refuse a request
that breaks them and the conversation could then never be continued:

  - Two turns of the same kind never follow each other. (Chat templates of local models demand it.)
  - The last word is never the assistant's: an answer that broke off is continued by asking for the rest.
    (Anthropic's newer models refuse to complete a message; others begin anew.)
  - Blank text is left out (Anthropic refuses it), and half characters (lone surrogates) are replaced.
  - What a tool answered is without invisible characters, what the user wrote without hidden tags: this is
    the one place that all a model reads comes through (invisible.py), but for files (user_files.py).
  - Reasoning stands before what it led to; reasoning that was cut off is left out. (OpenAI refuses it.)
  - Every `ToolRequested` is followed by exactly one result, in the order of the requests, before
    anything else; one that has none, after a crash, gets a failed one that says so. A result
    nobody asked for is left out.
  - No two requests have the same id. (What earlier versions stored can repeat them; providers refuse that.)
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import final
from weakref import WeakKeyDictionary

import msgspec

from deskside.backend.agent.events import (
    AssistantReasoning,
    AssistantText,
    HistoryItem,
    Summary,
    ToolFinished,
    ToolRequested,
    UserFile,
    UserText,
)
from deskside.backend.agent.invisible import is_visible, without_invisible, without_tags

GO_ON = "Your answer was cut off. Go on exactly where it stops, without repeating anything."


@final
class UserTurn(msgspec.Struct, frozen=True):
    """Files and what is said of them. Where there are none, `text` is all."""

    text: str
    files: tuple[UserFile, ...] = ()


@final
class AssistantTurn(msgspec.Struct, frozen=True):
    items: Sequence[AssistantText | AssistantReasoning | ToolRequested]

    @property
    def requests(self) -> list[ToolRequested]:
        return [item for item in self.items if type(item) is ToolRequested]


@final
class ToolTurn(msgspec.Struct, frozen=True):
    results: Sequence[ToolFinished]


Turn = UserTurn | AssistantTurn | ToolTurn


def turns(history: Sequence[HistoryItem]) -> list[Turn]:
    """Group a history by who speaks. Costs half a microsecond an item, and 2 to 4 ns a character of
    what is not ASCII and holds nothing invisible."""
    grouping = _Grouping(is_read_as_it_is=_is_read_as_it_is(history))
    grouping.add(history)
    if grouping.turns and isinstance(grouping.turns[-1], AssistantTurn):
        grouping.turns.append(UserTurn(GO_ON))
    return grouping.turns


def _is_read_as_it_is(history: Sequence[HistoryItem]) -> bool:
    """Whether a model reads all that it has not said itself as it came. One look at all of it costs half of a
    look at each text, and seldom finds anything."""
    texts: list[str] = []
    for item in history:
        if type(item) is ToolFinished:
            text = item.output
        elif type(item) is UserText or type(item) is Summary:
            text = item.text
        else:
            continue
        if not text.isascii():
            texts.append(text)
    return is_visible("\n".join(texts))


class _Grouping:
    """Asks for the `type` of an item, because `isinstance` takes five times as long to say no of a struct."""

    def __init__(self, is_read_as_it_is: bool) -> None:
        self.turns: list[Turn] = []
        self._is_read_as_it_is = is_read_as_it_is
        self._ids: set[str] = set()  # of all calls, as they are sent
        self._said: list[AssistantText | AssistantReasoning | ToolRequested] = []
        # Of the calls in `_said`:
        self._asked: list[str] = []  # their ids as they are sent
        self._awaited: set[str] = set()  # those that are sent as they stand in the history
        self._renamed: dict[str, list[str]] = {}  # by the id in the history, what is sent for it
        self._results: dict[str, ToolFinished] = {}  # by the id that is sent

    def add(self, history: Sequence[HistoryItem]) -> None:
        """Calls and their results, which long histories are made of, are met in this loop: with a method for
        each item it takes half as long again."""
        for item in history:
            if type(item) is ToolFinished:
                if item.call_id in self._awaited:
                    self._awaited.remove(item.call_id)
                    self._results[item.call_id] = item if self._is_read_as_it_is else _as_read(item)
                elif item.call_id in self._renamed:
                    self._add_renamed(item)
            elif type(item) is UserText:
                self._add_user(item.text if self._is_read_as_it_is else _whole(without_tags(item.text)))
            elif type(item) is UserFile:
                self._add_user("", item)
            elif type(item) is Summary:
                self._add_user(item.text if self._is_read_as_it_is else _whole(without_invisible(item.text)))
            elif type(item) is not AssistantText or item.text.strip():
                if self._results:
                    self._end_assistant()
                if type(item) is ToolRequested:
                    if item.call_id and item.call_id not in self._ids:
                        self._awaited.add(item.call_id)
                    else:
                        item = self._with_own_id(item)
                    self._ids.add(item.call_id)
                    self._asked.append(item.call_id)
                self._said.append(item)
        self._end_assistant()

    def _with_own_id(self, request: ToolRequested) -> ToolRequested:
        stem = request.call_id or "call"
        own, number = stem, 1
        while own in self._ids:
            number += 1
            own = f"{stem}_{number}"
        self._renamed.setdefault(request.call_id, []).append(own)
        return msgspec.structs.replace(request, call_id=own)

    def _add_renamed(self, result: ToolFinished) -> None:
        own = self._renamed[result.call_id].pop(0)
        if not self._renamed[result.call_id]:
            del self._renamed[result.call_id]
        read = result if self._is_read_as_it_is else _as_read(result)
        self._results[own] = msgspec.structs.replace(read, call_id=own)

    def _add_user(self, text: str, *files: UserFile) -> None:
        if not text.strip() and not files:
            return
        self._end_assistant()
        last = self.turns[-1] if self.turns else None
        if isinstance(last, UserTurn):
            said = "\n\n".join(filter(None, (last.text, text)))
            self.turns[-1] = UserTurn(said, (*last.files, *files))
        else:
            self.turns.append(UserTurn(text, files))

    def _end_assistant(self) -> None:
        """Ends what the assistant said, and answers what it asked for."""
        said = self._said
        while said and type(said[-1]) is AssistantReasoning:
            said.pop()
        if said:
            self.turns.append(AssistantTurn(tuple(said)))
            said.clear()
        if self._asked:
            results = self._results
            self.turns.append(ToolTurn([results.get(id_) or _interrupted(id_) for id_ in self._asked]))
            # Emptied, because new ones cost more than all that is done with them.
            for collected in (self._asked, self._awaited, self._renamed, results):
                collected.clear()


def _interrupted(call_id: str) -> ToolFinished:
    return ToolFinished(call_id, "This call was interrupted and has no result.", failed=True)


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
    return msgspec.Raw(arguments_text(arguments))


def arguments_text(arguments: str) -> str:
    """As `arguments_object`, for the formats that take the object as a text."""
    try:
        _decode_object(arguments)
    except (msgspec.DecodeError, UnicodeError):
        if not arguments.strip():
            return "{}"
        return msgspec.json.encode({"invalid_json": _whole(arguments)}).decode()
    return arguments


def is_complete_json(arguments: str) -> bool:
    """False where a call's arguments were cut off (or never were JSON)."""
    try:
        msgspec.json.decode(arguments or "{}", type=msgspec.Raw)
    except (msgspec.DecodeError, UnicodeError):
        return False
    return True
