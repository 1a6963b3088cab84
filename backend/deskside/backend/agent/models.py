"""All models there are: asks the providers, keeps their lists, and makes a `Model` from its name."""

from __future__ import annotations

from typing import Literal

import msgspec

from deskside.backend.agent.catalog import ModelInfo


class ProviderModels(msgspec.Struct, frozen=True):
    """One provider's models. `source` is `live` when the provider was just asked, `cached` from an
    earlier answer, `built_in` when it never answered. `problem` says why it could not be asked now;
    `needs_key` that it has no key yet."""

    provider: str
    label: str
    models: list[ModelInfo]
    source: Literal["live", "cached", "built_in"]
    needs_key: bool
    problem: str = ""
