"""A loop's host for tests that need nothing of the program: models by name, nobody to ask, no limits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

from msgspec.structs import replace

from deskside.backend.agent.approvals import question_about
from deskside.backend.agent.events import (
    ApprovalQuestion,
    HistoryItem,
    Model,
    ModelRequest,
    Steered,
    ToolDecided,
    ToolRequested,
)
from deskside.backend.agent.limits import Exceeded
from deskside.backend.agent.provenance import outside_sources
from deskside.backend.errors import NoKey
from deskside.backend.tools.context import ToolContext
from deskside.backend.tools.declaration import Tool


class Alone:
    """Every question is answered with `answer`; `asked` holds what was asked."""

    def __init__(self, models: Mapping[str, Model], *, answer: ApprovalQuestion | None = None) -> None:
        self.models = models
        self.answer = answer
        self.asked: list[tuple[str, ApprovalQuestion]] = []
        self.steering: list[Steered] = []
        self.context_size: int | None = None
        self.exceeded: list[str | None] = []
        self.goes_on = False

    async def model(self, name: str) -> Model:
        if name not in self.models:
            raise NoKey(f"There is no key for {name}.")
        return self.models[name]

    async def context_tokens(self, model: str) -> int | None:
        return self.context_size

    def take_steering(self) -> list[Steered]:
        said, self.steering = self.steering, []
        return said

    def has_steering(self) -> bool:
        return bool(self.steering)

    async def exceeds(self, call_id: str, model: str, request: ModelRequest) -> Exceeded | None:
        text = self.exceeded.pop(0) if self.exceeded else None
        return None if text is None else Exceeded(text, "run", "cost")

    async def exceeds_with_tools(self, wanted: int) -> Exceeded | None:
        return None

    async def word(self) -> bool:
        return self.goes_on

    def context(self, call_id: str) -> ToolContext:
        return ToolContext(cast(Any, None), 1, 2, 3, None, call_id)

    def ran(self, name: str, seconds: float, failure: str) -> None:
        """Nobody asks."""

    async def question(
        self, tool: Tool, request: ToolRequested, arguments: Any, history: Sequence[HistoryItem]
    ) -> ApprovalQuestion | None:
        return question_about(tool.effect, tool.approval, is_granted=False, outside=outside_sources(history))

    async def decision(self, request: ToolRequested, question: ApprovalQuestion) -> ToolDecided:
        self.asked.append((request.name, question))
        decision = self.answer or replace(question, decision="denied")
        return ToolDecided(request.call_id, decision, request.arguments)
