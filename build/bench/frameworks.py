#!/usr/bin/env python3
"""One agent framework in a process of its own, in its own environment: runs.py asks it for replies.

    .build/bench-venv/bin/python build/bench/frameworks.py pydantic-ai http://127.0.0.1:1234

Each line of its input is a wire format and how many replies at once ("chat 50"); its answer is a line of
JSON with the milliseconds of CPU that this process spent on them and the characters of text they held. It
imports nothing of ours, because ours is not installed there.
"""

from __future__ import annotations

import asyncio
import gc
import json
import sys
import time
from collections.abc import Awaitable, Callable, Mapping

KEY = "sk-bench-not-a-key"
QUESTION = "Hello"

Play = Callable[[], Awaitable[int]]


def calculate(expression: str) -> str:
    """Work out an arithmetic expression."""
    return str(len(expression))


def pydantic_ai(url: str) -> Mapping[str, Play]:
    from pydantic_ai import Agent, PartDeltaEvent, PartStartEvent, TextPart, TextPartDelta
    from pydantic_ai.models.anthropic import AnthropicModel
    from pydantic_ai.models.openai import OpenAIChatModel, OpenAIResponsesModel
    from pydantic_ai.providers.anthropic import AnthropicProvider
    from pydantic_ai.providers.openai import OpenAIProvider

    openai = OpenAIProvider(base_url=f"{url}/v1", api_key=KEY)
    models = {
        "chat": OpenAIChatModel("m", provider=openai),
        "responses": OpenAIResponsesModel("m", provider=openai),
        "messages": AnthropicModel("m", provider=AnthropicProvider(base_url=url, api_key=KEY)),
    }

    def play(agent: Agent[None, str]) -> Play:
        async def once() -> int:
            characters = 0
            # Not `run_stream`: it takes the first text for the answer and leaves the tool calls behind it.
            async with agent.run_stream_events(QUESTION) as events:
                async for event in events:
                    if isinstance(event, PartStartEvent) and isinstance(event.part, TextPart):
                        characters += len(event.part.content)
                    elif isinstance(event, PartDeltaEvent) and isinstance(event.delta, TextPartDelta):
                        characters += len(event.delta.content_delta)
            return characters

        return once

    return {name: play(Agent(model, tools=[calculate])) for name, model in models.items()}


def openai_agents(url: str) -> Mapping[str, Play]:
    from agents import (
        Agent,
        OpenAIChatCompletionsModel,
        OpenAIResponsesModel,
        Runner,
        function_tool,
        set_tracing_disabled,
    )
    from openai import AsyncOpenAI

    set_tracing_disabled(True)
    client = AsyncOpenAI(base_url=f"{url}/v1", api_key=KEY)
    models = {
        "chat": OpenAIChatCompletionsModel("m", client),
        "responses": OpenAIResponsesModel("m", client),
    }

    def play(agent: Agent[None]) -> Play:
        async def once() -> int:
            characters = 0
            result = Runner.run_streamed(agent, QUESTION, max_turns=20)
            async for event in result.stream_events():
                if event.type == "raw_response_event" and event.data.type == "response.output_text.delta":
                    characters += len(event.data.delta)
            return characters

        return once

    tools = [function_tool(calculate)]
    return {name: play(Agent(name="bench", model=model, tools=tools)) for name, model in models.items()}


FRAMEWORKS = {"pydantic-ai": pydantic_ai, "openai-agents": openai_agents}


async def serve(plays: Mapping[str, Play]) -> None:
    print(json.dumps({"formats": list(plays)}), flush=True)
    while line := await asyncio.to_thread(sys.stdin.readline):
        wire, times = line.split()
        gc.collect()
        before = time.process_time()
        read = await asyncio.gather(*(plays[wire]() for _ in range(int(times))))
        spent_ms = (time.process_time() - before) * 1000
        print(json.dumps({"spent_ms": spent_ms, "characters": sum(read)}), flush=True)


def main() -> None:
    framework, url = sys.argv[1:]
    # On the event loop that everybody else in this bench has.
    try:
        import uvloop
    except ImportError:
        asyncio.run(serve(FRAMEWORKS[framework](url)))
    else:
        uvloop.run(serve(FRAMEWORKS[framework](url)))


if __name__ == "__main__":
    main()
