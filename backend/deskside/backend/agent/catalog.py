"""Which models a provider offers."""

from __future__ import annotations

from typing import Literal

import msgspec


class ModelInfo(msgspec.Struct, frozen=True):
    """`id` is `provider/model`. `created_s` is Unix seconds, None where the provider does not say."""

    id: str
    label: str
    provider: str
    context_tokens: int | None = None
    created_s: int | None = None


class FoundServer(msgspec.Struct, frozen=True):
    """A server that answered on this machine. `base_url` includes the `/v1`."""

    kind: Literal["ollama", "lm_studio", "llama_cpp", "vllm"]
    label: str
    base_url: str
    model_names: list[str]
