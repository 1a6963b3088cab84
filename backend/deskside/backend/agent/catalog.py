"""Which models a provider offers, and which servers run on this machine.

Asked of the provider itself, so that a new model needs no new release. Nothing is kept here: the store
keeps the last answer, and `OFFLINE_MODELS` is for before the first.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterable, Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Literal

import msgspec

from deskside.backend.agent.answer import Patience, Refused
from deskside.backend.agent.transport import Endpoint, Http, Provider
from deskside.backend.errors import StreamGarbled


class ModelInfo(msgspec.Struct, frozen=True):
    """`id` is `provider/model`. `created_s` is Unix seconds, None where the provider does not say."""

    id: str
    label: str
    provider: str
    context_tokens: int | None = None
    created_s: int | None = None


ServerKind = Literal["ollama", "lm_studio", "llama_cpp", "vllm"]


class FoundServer(msgspec.Struct, frozen=True):
    """A server that answered on this machine. `base_url` includes the `/v1`."""

    kind: ServerKind
    label: str
    base_url: str
    model_names: list[str]


def _built_in(provider: str, names: Iterable[str]) -> list[ModelInfo]:
    return [ModelInfo(f"{provider}/{name}", name, provider) for name in names]


# A handful of the names that openai.types.shared.ChatModel (3.54) and anthropic.types.Model (2.12) list
# without an announced end; a test keeps them there.
OFFLINE_MODELS: Mapping[str, list[ModelInfo]] = MappingProxyType(
    {
        "openai": _built_in(
            "openai",
            ["gpt-6.2-sol", "gpt-6.2-astra", "gpt-6.1-terra", "gpt-6-luna", "gpt-5.5", "gpt-5.4-mini"],
        ),
        "anthropic": _built_in(
            "anthropic",
            [
                "claude-sonnet-5-5",
                "claude-opus-5-5",
                "claude-haiku-5-5",
                "claude-fable-5-2",
                "claude-mythos-5-2",
            ],
        ),
    }
)

# What OpenAI lists beside models to talk to. Left out by exclusion: a new family shows up by itself.
_NOT_FOR_CHAT = re.compile(
    r"embed|tts|whisper|dall-e|image|moderation|realtime|audio|transcribe|translate|sora|davinci|babbage"
    r"|-instruct|-search|computer-use|deep-research"
)
_NOT_FOR_CHAT_ELSEWHERE = re.compile(r"embed|rerank|whisper", re.IGNORECASE)
_PAGE_LIMIT = 20  # pages of 1,000 models: a server that never says it has no more is not asked for ever


class _Meta(msgspec.Struct):
    n_ctx: int | None = None
    n_ctx_train: int | None = None


class _Listed(msgspec.Struct):
    """A model in any provider's list: OpenAI and vLLM, llama.cpp, OpenRouter, Anthropic."""

    id: str
    created: float | None = None
    owned_by: str | None = None
    max_model_len: int | None = None
    context_length: int | None = None
    meta: _Meta | None = None
    display_name: str | None = None
    created_at: datetime | None = None
    max_input_tokens: int | None = None


class _Listing(msgspec.Struct):
    data: list[_Listed] | None
    has_more: bool | None = None
    last_id: str | None = None


async def fetch_models(provider: Provider, http: Http, patience: Patience | None = None) -> list[ModelInfo]:
    """The models to talk to, newest first. Raises the errors of a model call."""
    if provider.id == "anthropic":
        endpoint = Endpoint(provider, http, "anthropic", patience)
        listed = await _read_pages(endpoint, "/v1/models")
    else:
        endpoint = Endpoint(provider, http, "openai", patience)
        listed = await _read_pages(endpoint, "/models")
    excluded = _NOT_FOR_CHAT if provider.id == "openai" else _NOT_FOR_CHAT_ELSEWHERE
    models = [_info(provider.id, model) for model in listed if not excluded.search(model.id)]
    return sorted(models, key=lambda model: (-(model.created_s or 0), model.id))


async def _read_pages(endpoint: Endpoint, path: str) -> list[_Listed]:
    models: list[_Listed] = []
    query: dict[str, str] = {"limit": "1000"} if endpoint.provider.id == "anthropic" else {}
    try:
        for _ in range(_PAGE_LIMIT):
            page = _decode(await endpoint.read(path, query), endpoint.provider.label)
            models += page.data or []
            if not page.has_more or not page.last_id:
                break
            query["after_id"] = page.last_id
    except Refused as refused:
        raise endpoint.error(refused.refusal) from None
    return models


def _decode(body: bytes, label: str) -> _Listing:
    try:
        return msgspec.json.decode(body, type=_Listing)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise StreamGarbled(f"{label} sent a list of models that cannot be read ({error}).") from None


def _info(provider: str, model: _Listed) -> ModelInfo:
    created_s = int(model.created_at.timestamp()) if model.created_at is not None else int(model.created or 0)
    meta = model.meta or _Meta()
    context = (
        model.max_input_tokens
        or model.max_model_len
        or model.context_length
        or meta.n_ctx
        or meta.n_ctx_train
    )
    return ModelInfo(
        id=f"{provider}/{model.id}",
        label=model.display_name or model.id,
        provider=provider,
        context_tokens=context,
        created_s=created_s or None,
    )


# -- servers on this machine --------------------------------------------------------------------

SERVER_PORTS: Mapping[ServerKind, int] = MappingProxyType(
    {"ollama": 11434, "lm_studio": 1234, "llama_cpp": 8080, "vllm": 8000}
)
_LABELS: Mapping[ServerKind, str] = MappingProxyType(
    {"ollama": "Ollama", "lm_studio": "LM Studio", "llama_cpp": "llama.cpp", "vllm": "vLLM"}
)
_KIND_OF_OWNER: Mapping[str, ServerKind] = MappingProxyType(
    {"library": "ollama", "organization_owner": "lm_studio", "llamacpp": "llama_cpp", "vllm": "vllm"}
)
_LOOK_S = 1.0  # loopback refuses at once; only a server that is busy takes longer


async def find_servers(
    http: Http, ports: Mapping[ServerKind, int] = SERVER_PORTS, patience_s: float = _LOOK_S
) -> list[FoundServer]:
    """The OpenAI-compatible servers that answer on this machine's usual ports. Raises nothing."""
    looks = [_look(http, kind, port, patience_s) for kind, port in ports.items()]
    return [server for server in await asyncio.gather(*looks) if server is not None]


async def _look(http: Http, kind: ServerKind, port: int, patience_s: float) -> FoundServer | None:
    """Any program may listen on these ports, so only a list of models counts."""
    base_url = f"http://127.0.0.1:{port}/v1"
    body = await http.look(f"{base_url}/models", patience_s)
    if body is None:
        return None
    try:
        listed = msgspec.json.decode(body, type=_Listing).data or []
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    owners = {model.owned_by for model in listed}
    kind = next((of_owner for owner, of_owner in _KIND_OF_OWNER.items() if owner in owners), kind)
    names = [model.id for model in listed if not _NOT_FOR_CHAT_ELSEWHERE.search(model.id)]
    return FoundServer(kind, _LABELS[kind], base_url, names)
