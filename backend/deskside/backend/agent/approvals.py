"""When the user is asked before a tool runs.

The rule, in one place and without side effects:

  - A tool set to `never` runs. One set to `ask` runs where the user allowed it for this run or this agent.
    One set to `always_ask` is asked about each time.
  - Once text from outside is anywhere in what the model reads, it may be that text which asks. Then
    nothing that writes, sends or executes runs on what was set or allowed before: each call is asked
    about, and the answer holds for that call.
  - Nothing is ever approved by waiting.

Text from outside is what `events.is_outside` says, plus the run of an agent that has read some. It stays in
the conversation: in the results of tools, in a summary of them, and in every later run of the same path.
"""

from __future__ import annotations

from collections.abc import Mapping

from msgspec.structs import replace

from deskside.backend.agent.events import ApprovalQuestion, Effect
from deskside.backend.store.text import now_ms
from deskside.backend.tools.declaration import Approval, Preview

SOURCES_SHOWN = 20

WHY: Mapping[Effect, str] = {
    "read": "You chose to be asked before this tool is used.",
    "write": "This changes something on your machine.",
    "send": "This sends something out of Deskside.",
    "execute": "This runs code.",
}
EACH_TIME = "You chose to be asked about this tool each time."
OUTSIDE = "Text from outside may be what asks for this, so what you allowed before does not count here."


def question_about(
    effect: Effect, approval: Approval, *, is_granted: bool, outside: list[str]
) -> ApprovalQuestion | None:
    """What to ask before a call runs; None where it may. `is_granted` is for the run or the agent."""
    is_distrusted = bool(outside) and effect != "read"
    is_allowed = approval == "never" or (approval == "ask" and is_granted)
    if is_allowed and not is_distrusted:
        return None
    reasons = [EACH_TIME] if approval == "always_ask" else []
    if not is_allowed and approval == "ask":
        reasons.append(WHY[effect])
    if is_distrusted:
        reasons += [] if WHY[effect] in reasons else [WHY[effect]]
        reasons.append(OUTSIDE)
    return ApprovalQuestion(
        reasons=reasons,
        effect=effect,
        outside=outside[:SOURCES_SHOWN],
        scopes=[] if is_distrusted or approval == "always_ask" else ["run", "agent"],
        asked_ms=now_ms(),
    )


def with_preview(question: ApprovalQuestion, preview: Preview) -> ApprovalQuestion:
    """The question with what would happen."""
    return replace(question, summary=preview.summary, diff=preview.diff)
