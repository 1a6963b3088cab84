"""A recorded run with all that worked for it, as one JSON document: the form in which recordings are read,
exported and replayed.

The format is published as build/schemas/run-1.json, which is written from the structs here. It holds all that
a replay needs: every fact of every run, and each instruction, tool and item of a history once, in `items`;
facts name them by their place there, counted from 1 (`Ranges`: the first, and how many). Files are in it by
their hash and the text that was read out of them. Keys were taken out when it was recorded.
"""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import Meta

from deskside.backend.agent.events import HistoryItem, ModelRequest, ToolSpec, Usage
from deskside.backend.agent.recording import ModelAsked, Ranges, Recorded, RunBegan, ids_of
from deskside.backend.errors import InvalidRequest

FORMAT: Final = "deskside-run"
VERSION: Final = 1

Milliseconds = Annotated[int, Meta(ge=0, le=2**53 - 1, description="Unix milliseconds, UTC.")]
Number = Annotated[int, Meta(ge=0, le=2**53 - 1)]
RunStatus = Literal["running", "complete", "interrupted", "stopped", "failed"]


class FileFact(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One fact: its number within the run, and when."""

    n: Number
    at_ms: Milliseconds
    fact: Recorded


class FileCall(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What one model call used. The cost is in 10⁻⁹ US dollars, None where it is not known; `is_partial`: the
    provider did not tell all that was used, so it may have cost more."""

    call_id: str
    model: str
    usage: Usage
    cost_nano_usd: Number | None = None
    is_partial: bool = False


class FileRun(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """One run. `parent` is the run that it worked for; `id` and the other ids are those of the store that it
    comes from."""

    id: Number
    parent: Number | None = None
    conversation_id: Number
    message_id: Number
    agent: str = ""
    model: str
    status: RunStatus
    reason: str | None = None
    request_id: str = ""
    started_ms: Milliseconds
    finished_ms: Milliseconds | None = None
    calls: list[FileCall] = []
    facts: list[FileFact] = []


class RunFile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The document. The first of `runs` is the one that was asked for; those that worked for it follow.
    `store_id` is what ids of traces are derived from."""

    format: Literal["deskside-run"] = FORMAT
    version: Literal[1] = VERSION
    program: str
    store_id: str
    runs: Annotated[list[FileRun], Meta(min_length=1)]
    items: list[str | list[ToolSpec] | HistoryItem] = []

    @property
    def root(self) -> FileRun:
        return self.runs[0]

    @property
    def is_recorded(self) -> bool:
        """Whether there is anything of how it went."""
        return bool(self.root.facts)

    def below(self, run: FileRun, call_id: str) -> list[FileRun]:
        """The runs that a call of this run began."""
        return [each for each in self.runs if each.parent == run.id and _asked_by(each) == call_id]

    def history(self, began: RunBegan) -> list[HistoryItem]:
        """What a run began with."""
        return self._items(began.items)

    def request(self, asked: ModelAsked) -> ModelRequest:
        """The request as the loop made it, without files."""
        instructions, tools, *history = self._items(asked.items)
        return ModelRequest(
            history,
            instructions,
            tools,
            asked.max_output_tokens,
            asked.temperature,
            asked.reasoning_effort,
            asked.output_schema,
            asked.may_use_tools,
        )

    def _items(self, ranges: Ranges) -> list[Any]:
        return [self.items[id - 1] for id in ids_of(ranges)]


def _asked_by(run: FileRun) -> str:
    """The call that began a run; nothing for one that no agent asked."""
    first = run.facts[0].fact if run.facts else None
    return getattr(first, "parent_call_id", "")


def read(content: bytes) -> RunFile:
    """A document's struct. Raises InvalidRequest with where it is wrong."""
    try:
        file = msgspec.json.decode(content, type=RunFile)
    except (msgspec.MsgspecError, RecursionError) as error:
        raise InvalidRequest(
            f"This is not a recorded run: {error}.",
            hint="Give a file that deskside replay --save has written.",
        ) from error
    for run in file.runs:
        for each in run.facts:
            ids = ids_of(each.fact.items) if isinstance(each.fact, ModelAsked | RunBegan) else []
            if any(not 1 <= id <= len(file.items) for id in ids):
                raise InvalidRequest(f"Fact {each.n} of run {run.id} names an item that is not in the file.")
    return file


def text_of(file: RunFile) -> str:
    """The document as it is written."""
    return msgspec.json.format(msgspec.json.encode(file), indent=1).decode() + "\n"
