"""About how many tokens a request is, before a provider has counted them.

English and code come to about four characters a token with the tokenizers of both providers, JSON to about
three. Too high a guess asks once too often, too low a one passes a limit, so this is on the high side.
Characters beyond ASCII count as one token each: about right for Chinese, too many for accents.
"""

from __future__ import annotations

from deskside.backend.agent import user_files
from deskside.backend.agent.events import (
    AssistantReasoning,
    ModelRequest,
    ToolFinished,
    ToolRequested,
    UserFile,
)
from deskside.backend.store.text import as_json

CHARACTERS_A_TOKEN = 3.5
# What marks a message, a call or a tool for the model.
TOKENS_AN_ITEM = 6


def estimated_tokens(request: ModelRequest, model: str = "") -> int:
    """The whole input: history, instructions and tools. `model` (`provider/model`) decides how files go.
    Takes 1 ms for a million characters of ASCII."""
    texts, besides = [request.instructions], 0
    for item in request.history:
        match item:
            case ToolRequested(call_id=call_id, name=name, arguments=arguments):
                texts += (call_id, name, arguments)
            case ToolFinished(call_id=call_id, output=output):
                texts += (call_id, output)
            case AssistantReasoning(text=text, provider_data=provider_data):
                texts += (text, provider_data or "")
            case UserFile():
                text, tokens = user_files.tokens_of(item, model)
                texts.append(text)
                besides += tokens
            case _:
                texts.append(item.text)
    for tool in request.tools:
        texts += (tool.name, tool.description, as_json(tool.parameters))
    items = 1 + len(request.history) + len(request.tools)
    return besides + items * TOKENS_AN_ITEM + round(sum(map(_tokens, texts)))


def _tokens(text: str) -> float:
    if text.isascii():
        return len(text) / CHARACTERS_A_TOKEN
    plain = len(text.encode("ascii", "ignore"))
    return plain / CHARACTERS_A_TOKEN + len(text) - plain
