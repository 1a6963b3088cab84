"""A recorded run as a script: what everyone but the loop said and did in it, in the order in which the loop
asks for it."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from deskside.backend.agent.events import (
    ApprovalQuestion,
    HistoryItem,
    ModelEvent,
    ModelRequest,
    RunEvent,
    SideCallStarted,
    StepFinished,
    ToolDecided,
    ToolFinished,
    ToolRequested,
    ToolStarted,
    ToolWaiting,
)
from deskside.backend.agent.recording import (
    CallFailed,
    ContextKnown,
    ModelAsked,
    ModelSaid,
    OwnFact,
    Recorded,
    RunBegan,
    RunEnded,
)
from deskside.backend.agent.reply import UNANSWERED_CALL, UNFINISHED_CALL
from deskside.backend.agent.tool_calls import STOPPED_TOOL
from deskside.backend.errors import InvalidRequest
from deskside.backend.recordings.run_file import FileFact, FileRun, RunFile

CUT_SHORT = frozenset({STOPPED_TOOL, UNFINISHED_CALL, UNANSWERED_CALL})


@dataclass
class ModelCall:
    """One call of a model: the request, and all that came of it. Without `failure` and without a
    `StepFinished` it was cut short by the run's end."""

    n: int
    asked: ModelAsked
    request: ModelRequest
    events: list[ModelEvent] = field(default_factory=list)
    failure: CallFailed | None = None


@dataclass
class ToolCall:
    """One call of a tool, as it went. `n` is the fact that asked for it, None where an earlier run has."""

    n: int | None
    request: ToolRequested
    question: ApprovalQuestion | None = None
    decided: ToolDecided | None = None
    has_started: bool = False
    result: ToolFinished | None = None


@dataclass
class Script:
    """What a run needs to go as it went. `events` are the loop's, with the number of each fact; those that
    the loop could not yield any more, because it was stopped, are not among them. `side_calls` are the ids of
    calls that are no steps."""

    run: FileRun
    began: RunBegan
    history: list[HistoryItem]
    events: list[tuple[int, RunEvent]] = field(default_factory=list)
    model_calls: deque[ModelCall] = field(default_factory=deque)
    tool_calls: dict[str, deque[ToolCall]] = field(default_factory=dict)
    context_tokens: dict[str, int | None] = field(default_factory=dict)
    side_calls: set[str] = field(default_factory=set)
    ended: RunEnded | None = None

    @property
    def was_cut_short(self) -> bool:
        """Whether something else than the loop ended it: the user, or the end of the program."""
        return self.ended is None or self.ended.status in ("stopped", "interrupted")


def has_begun(run: FileRun) -> bool:
    """Whether it got to its turn."""
    return any(isinstance(each.fact, RunBegan) for each in run.facts)


def script_of(file: RunFile, run: FileRun) -> Script:
    """The script of one run. Raises InvalidRequest for a run that did not get to its beginning."""
    began = next((each.fact for each in run.facts if isinstance(each.fact, RunBegan)), None)
    if began is None:
        raise InvalidRequest(
            f"Run {run.id} ended before it began, or was not recorded.", hint="There is nothing to replay."
        )
    script = Script(run, began, file.history(began))
    by_call: dict[str, ModelCall] = {}
    for each in run.facts:
        _add(file, script, by_call, each)
    return script


def _add(file: RunFile, script: Script, by_call: dict[str, ModelCall], each: FileFact) -> None:
    match each.fact:
        case ModelAsked() as asked:
            # A call that was too long is made again, with a shorter history, under the same id.
            call = by_call[asked.call_id] = ModelCall(each.n, asked, file.request(asked))
            script.model_calls.append(call)
        case ModelSaid(call_id=call_id, groups=groups):
            by_call[call_id].events += [event for group in groups for event in group.events]
        case CallFailed(call_id=call_id) as failed:
            by_call[call_id].failure = failed
        case ContextKnown(model=model, tokens=tokens):
            script.context_tokens[model] = tokens
        case RunEnded() as ended:
            script.ended = ended
        case ToolFinished(output=output, failed=True) if output in CUT_SHORT:
            pass  # what was left open when the run was stopped, and was closed by who stopped it
        case fact:
            if not isinstance(fact, OwnFact):
                script.events.append((each.n, fact))
                if isinstance(fact, SideCallStarted):
                    script.side_calls.add(fact.call_id)
                _add_to_tool(script, each.n, fact)


def _add_to_tool(script: Script, n: int, fact: Recorded) -> None:
    if isinstance(fact, ToolRequested):
        script.tool_calls.setdefault(fact.call_id, deque()).append(ToolCall(n, fact))
        return
    calls = script.tool_calls.get(getattr(fact, "call_id", ""))
    if isinstance(fact, ToolWaiting | ToolDecided | ToolStarted | ToolFinished) and not calls:
        # An earlier run of the same reply has asked for it.
        request = ToolRequested(fact.call_id, "", "")
        calls = script.tool_calls.setdefault(fact.call_id, deque([ToolCall(None, request)]))
    match fact:
        case ToolWaiting(question=question):
            assert calls
            calls[-1].question = question
        case ToolDecided():
            assert calls
            calls[-1].decided = fact
        case ToolStarted():
            assert calls
            calls[-1].has_started = True
        case ToolFinished():
            assert calls
            calls[-1].result = fact
        case _:
            pass


def is_whole(call: ModelCall) -> bool:
    """Whether it came to an end of its own."""
    return call.failure is not None or any(isinstance(event, StepFinished) for event in call.events)
