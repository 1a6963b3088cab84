"""What the user chose. Theme and language live on the local user's row, the rest in `setting`."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

Theme = Literal["system", "light", "dark"]
Language = Literal["en"]
ServerId = Annotated[str, msgspec.Meta(pattern="^[a-z][a-z0-9-]{0,31}$")]
Url = Annotated[str, msgspec.Meta(pattern="^https?://[^\\s]+$", max_length=2000)]


class Server(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An OpenAI-compatible server. `id` is the provider part of its models' names; the first one is
    called `local`. `base_url` includes the `/v1`."""

    id: ServerId
    label: Annotated[str, msgspec.Meta(min_length=1, max_length=100)]
    base_url: Url


class Settings(msgspec.Struct, frozen=True):
    """All settings with their defaults. A base URL of None leaves it to the SDK's own variable
    (`OPENAI_BASE_URL`, `ANTHROPIC_BASE_URL`), else to the provider's address.

    `device_model` is the path of the GGUF file to run; None means the bundled small model.
    """

    theme: Theme = "system"
    language: Language = "en"
    default_model: str | None = None
    servers: list[Server] = []
    openai_base_url: Url | None = None
    anthropic_base_url: Url | None = None
    device_model: str | None = None
    has_chosen_start: bool = False
