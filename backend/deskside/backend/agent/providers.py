"""From a model's name to the model: which provider it is, which API it speaks, where it is.

Providers are `openai`, `anthropic`, and the id of any OpenAI-compatible server.
"""

from __future__ import annotations

import asyncio
from urllib.parse import urlsplit

from deskside.backend.agent.answer import Patience
from deskside.backend.agent.anthropic_model import AnthropicModel
from deskside.backend.agent.catalog import fetch_models
from deskside.backend.agent.events import Model
from deskside.backend.agent.openai_model import Api, OpenAIModel
from deskside.backend.agent.transport import Endpoint, Http, Provider, load_sdk
from deskside.backend.errors import BadKey, NoModel, RequestRefused
from deskside.backend.keys import LABELS

# Explicit, because the SDKs would otherwise read the environment for themselves.
OPENAI_URL = "https://api.openai.com/v1"
ANTHROPIC_URL = "https://api.anthropic.com"


def find_provider(
    provider_id: str, *, key: str | None, base_url: str | None = None, label: str | None = None
) -> Provider:
    """Where to ask. `base_url` None is the provider's own; a server has none, so it must be given.

    OpenAI's base URL and a server's include the `/v1`; Anthropic's may or may not. Raises NoModel for a
    server without an address, RequestRefused for what is no address.
    """
    label = label or LABELS.get(provider_id, provider_id)
    if provider_id == "anthropic":
        url = (base_url or ANTHROPIC_URL).rstrip("/").removesuffix("/v1")
    elif base_url is not None:
        url = base_url.rstrip("/")
    elif provider_id == "openai":
        url = OPENAI_URL
    else:
        raise NoModel(
            f"There is no server called {provider_id!r}.", hint="Add it in Settings, under Servers."
        )
    if not _is_address(url):
        raise RequestRefused(f"{url!r} is not an address.", hint="Check the server's address in Settings.")
    return Provider(provider_id, label, url, key)


def _is_address(url: str) -> bool:
    """Settings and the environment can hold anything; `http://[` breaks whoever looks closer."""
    try:
        parts = urlsplit(url)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


def make_model(
    name: str,
    *,
    key: str | None,
    http: Http,
    base_url: str | None = None,
    label: str | None = None,
    patience: Patience | None = None,
) -> Model:
    """The model called `name` (`provider/model`). Asks nobody: a name that does not exist shows at the
    first call. Raises NoModel for a name without a provider, else as `find_provider`."""
    provider_id, slash, model = name.partition("/")
    if not slash or not model:
        raise NoModel(f"{name!r} is not the name of a model: it should read provider/model.")
    provider = find_provider(provider_id, key=key, base_url=base_url, label=label)
    if provider_id == "anthropic":
        return AnthropicModel(name, Endpoint(provider, http, "anthropic", patience))
    return OpenAIModel(name, Endpoint(provider, http, "openai", patience), _api(provider))


def _api(provider: Provider) -> Api:
    if provider.id != "openai":
        return "chat"
    host = urlsplit(provider.base_url).hostname or ""
    is_openai = host == "api.openai.com" or host.endswith(".api.openai.com")
    return "responses" if is_openai else "responses_or_chat"


async def check_key(provider: Provider, http: Http, patience: Patience | None = None) -> str:
    """Make one small real call, which costs nothing: a sentence that it works, or our error."""
    try:
        models = await fetch_models(provider, http, patience)
    except BadKey as error:
        # OpenAI's restricted keys can answer without being allowed to list.
        if "scope" not in error.message:
            raise
        return f"{provider.label} knows the key, which may not list models."
    accepted = f"{provider.label} accepted the key" if provider.key else f"{provider.label} answers"
    return f"{accepted} and offers {len(models)} model{'' if len(models) == 1 else 's'}."


async def warm_up(provider_ids: set[str]) -> None:
    """Import what the first request to these providers needs, in a thread, so that it starts at once.

    Costs 1 s of CPU for OpenAI's SDK and 2 s for Anthropic's: call it when the window is shown.
    """
    await asyncio.gather(
        *(load_sdk("anthropic" if each == "anthropic" else "openai") for each in provider_ids)
    )
