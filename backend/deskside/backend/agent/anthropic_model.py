"""Anthropic's models, through the Messages API."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

from deskside.backend.agent.answer import Refused, read_events
from deskside.backend.agent.anthropic_messages import OPTIONAL_PARAMETERS, MessagesReader, messages_body
from deskside.backend.agent.events import ModelEvent, ModelRequest
from deskside.backend.agent.transport import Endpoint


class AnthropicModel:
    """One model. `name` is `provider/model`."""

    def __init__(self, name: str, endpoint: Endpoint) -> None:
        self._name = name
        self._model = name.partition("/")[2]
        self._endpoint = endpoint

    @property
    def name(self) -> str:
        return self._name

    async def stream(self, request: ModelRequest) -> AsyncGenerator[ModelEvent, None]:
        """Make one call. See `Model.stream`."""

        def body(refused: set[str]) -> dict[str, Any]:
            return messages_body(self._name, request, refused)

        try:
            answer = await self._endpoint.open_adapting(
                "/v1/messages", self._model, body, OPTIONAL_PARAMETERS
            )
            async with aclosing(read_events(answer, MessagesReader(request.history))) as events:
                async for event in events:
                    yield event
        except Refused as refused:
            raise self._endpoint.error(refused.refusal, self._model) from None
