"""OpenAI's models, and those of every server that speaks one of its two languages.

OpenAI itself is asked through Responses, a compatible server through Chat Completions. Where somebody
put another address in OpenAI's place, Responses is tried, and Chat where the server has no such page;
which it was is remembered for the life of the process.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any, Literal

from deskside.backend.agent.answer import Answer, Refused, read_events
from deskside.backend.agent.events import ModelEvent, ModelRequest
from deskside.backend.agent.openai_chat import OPTIONAL_PARAMETERS as CHAT_OPTIONAL
from deskside.backend.agent.openai_chat import ChatReader, chat_body
from deskside.backend.agent.openai_responses import OPTIONAL_PARAMETERS as RESPONSES_OPTIONAL
from deskside.backend.agent.openai_responses import ResponsesReader, responses_body
from deskside.backend.agent.transport import Endpoint

Api = Literal["responses", "chat", "responses_or_chat"]


class OpenAIModel:
    """One model. `name` is `provider/model`; `api` says which of the two languages to speak."""

    def __init__(self, name: str, endpoint: Endpoint, api: Api) -> None:
        self._name = name
        self._model = name.partition("/")[2]
        self._endpoint = endpoint
        self._api = api

    @property
    def name(self) -> str:
        return self._name

    async def stream(self, request: ModelRequest) -> AsyncGenerator[ModelEvent, None]:
        """Make one call. See `Model.stream`."""
        try:
            answer, reader = await self._ask(request)
            async with aclosing(read_events(answer, reader)) as events:
                async for event in events:
                    yield event
        except Refused as refused:
            raise self._endpoint.error(refused.refusal, self._model) from None

    async def _ask(self, request: ModelRequest) -> tuple[Answer, ChatReader | ResponsesReader]:
        without_responses = self._endpoint.http.without_responses
        base_url = self._endpoint.provider.base_url
        if self._api == "chat" or (self._api == "responses_or_chat" and base_url in without_responses):
            return await self._ask_chat(request), ChatReader(request.history)
        try:
            return await self._ask_responses(request), ResponsesReader(request.history)
        except Refused as refused:
            if self._api == "responses" or not self._has_no_such_page(refused):
                raise
            answer = await self._ask_chat(request)
            without_responses.add(base_url)
            return answer, ChatReader(request.history)

    def _has_no_such_page(self, refused: Refused) -> bool:
        refusal = refused.refusal
        return refusal.status in (404, 405, 501) and self._model not in refusal.message

    async def _ask_responses(self, request: ModelRequest) -> Answer:
        def body(refused: set[str]) -> dict[str, Any]:
            return responses_body(self._name, request, refused)

        return await self._endpoint.open_adapting("/responses", self._model, body, RESPONSES_OPTIONAL)

    async def _ask_chat(self, request: ModelRequest) -> Answer:
        def body(refused: set[str]) -> dict[str, Any]:
            return chat_body(self._model, request, refused)

        return await self._endpoint.open_adapting("/chat/completions", self._model, body, CHAT_OPTIONAL)
