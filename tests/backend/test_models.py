"""Which models there are, which one answers, and how a name becomes a model: against a local server."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from deskside.backend.agent.catalog import OFFLINE_MODELS
from deskside.backend.agent.events import ModelRequest, TextDelta, UserText
from deskside.backend.agent.models import ProviderModels
from deskside.backend.agent.scripted_model import ScriptedModel
from deskside.backend.app import App, open_app
from deskside.backend.errors import DeviceModelError, InvalidRequest, NoKey, NoModel, RequestRefused
from deskside.backend.events import ModelsChanged, SettingsChanged
from deskside.backend.paths import Paths
from deskside.backend.settings import Server, Settings
from deskside.backend.store import settings as rows
from provider_server import ProviderServer, Reply, error_reply

KEY = "sk-test-not-a-key-0123456789"


@pytest.fixture(autouse=True)
def _nothing_bundled(monkeypatch: pytest.MonkeyPatch) -> None:
    """The checkout's own on-device model must not answer for what is tested here."""
    monkeypatch.delenv("DESKSIDE_BUNDLED_MODELS", raising=False)


@pytest.fixture
def server() -> Iterator[ProviderServer]:
    with ProviderServer() as server:
        yield server


@pytest.fixture
async def app(tmp_path: Path) -> AsyncIterator[App]:
    async with opened(tmp_path / "data") as app:
        yield app


@asynccontextmanager
async def opened(data: Path, **models: Any) -> AsyncIterator[App]:
    async with open_app(Paths(data, data / "logs", data / "cache"), models or None) as app:
        yield app


async def of_provider(app: App, provider: str, *, refresh: bool = False) -> ProviderModels:
    return next(each for each in await app.models.available(refresh=refresh) if each.provider == provider)


async def say(app: App, name: str) -> str:
    model = await app.models.make(name)
    events = [event async for event in model.stream(ModelRequest([UserText("Say pineapple")]))]
    return "".join(event.text for event in events if isinstance(event, TextDelta))


def local(server: ProviderServer, id: str = "local") -> Server:
    return Server(id, "My server", server.openai_url)


# -- the default ---------------------------------------------------------------------------------


async def test_with_nothing_configured_there_is_no_model(app: App) -> None:
    assert await app.models.default() is None


async def test_the_setting_comes_before_the_variable_and_both_before_what_is_found(
    app: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", KEY)
    found = await app.models.default()
    monkeypatch.setenv("DESKSIDE_MODEL", "openai/not-in-any-list")
    named = await app.models.default()
    await app.settings.change({"default_model": "anthropic/claude-x"})
    chosen = await app.models.default()

    assert (found or "").startswith("anthropic/claude-")
    assert named == "openai/not-in-any-list"
    assert chosen == "anthropic/claude-x"


async def test_a_server_comes_after_the_keys_and_before_the_small_model(
    app: App, server: ProviderServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    app.paths.models.mkdir(parents=True, exist_ok=True)
    (app.paths.models / "tiny.gguf").write_bytes(b"GGUF")
    on_device = await app.models.default()
    await app.settings.change({"servers": [local(server)]})
    at_server = await app.models.default()
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    with_key = await app.models.default()

    assert [on_device, at_server] == ["device/tiny", "local/local-model"]
    assert with_key == OFFLINE_MODELS["openai"][0].id


async def test_a_server_that_does_not_answer_does_not_hold_up_the_window(
    app: App, server: ProviderServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("deskside.backend.agent.models.QUICK_LOOK_S", 0.05)
    server.route("/v1/models", Reply(b'{"data": []}', hang_after=3, content_type="application/json"))
    await app.settings.change({"servers": [local(server)]})

    assert await app.models.default() is None


# -- the lists -----------------------------------------------------------------------------------


async def test_without_a_key_the_built_in_list_is_shown_and_nobody_is_asked(app: App) -> None:
    found = await of_provider(app, "openai")

    assert (found.source, found.needs_key, found.problem) == ("built_in", True, "")
    assert found.models == OFFLINE_MODELS["openai"]


async def test_a_list_is_asked_for_once_an_hour_and_when_the_user_says_so(
    app: App, server: ProviderServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    await app.settings.change({"servers": [local(server)]})
    sources = [(await of_provider(app, "local")).source for _ in range(2)]
    server.models.append({"id": "newer", "object": "model"})
    refreshed = await of_provider(app, "local", refresh=True)
    an_hour_later_ns = time.time_ns() + 3_600_000_000_000
    monkeypatch.setattr("time.time_ns", lambda: an_hour_later_ns)
    later = await of_provider(app, "local")

    assert sources == ["live", "cached"]
    assert refreshed.source == "live"
    assert {"local/local-model", "local/newer"} == {model.id for model in refreshed.models}
    assert later.source == "live"
    assert refreshed.label == "My server"


async def test_a_server_that_is_gone_keeps_its_last_list_and_says_why(tmp_path: Path) -> None:
    with ProviderServer() as server:
        async with opened(tmp_path) as app:
            await app.settings.change({"servers": [local(server)]})
            await of_provider(app, "local")
    async with opened(tmp_path) as app:
        found = await of_provider(app, "local", refresh=True)

        assert found.source == "cached"
        assert [model.id for model in found.models] == ["local/local-model"]
        assert "connect" in found.problem


async def test_a_list_from_another_address_does_not_count(app: App, server: ProviderServer) -> None:
    await app.settings.change({"servers": [local(server)]})
    await of_provider(app, "local")
    await app.settings.change({"servers": [Server("local", "Elsewhere", "http://127.0.0.1:9/v1")]})
    found = await of_provider(app, "local")

    assert (found.source, found.models) == ("built_in", [])
    assert found.problem


async def test_all_providers_are_there_with_the_device_last(app: App, server: ProviderServer) -> None:
    await app.settings.change({"servers": [local(server), local(server, "other")]})
    found = await app.models.available(refresh=False)

    assert [each.provider for each in found] == ["openai", "anthropic", "local", "other", "device"]


# -- from a name to a model ----------------------------------------------------------------------


@pytest.mark.parametrize("provider", ["openai", "anthropic"])
async def test_the_environment_gives_key_and_address(
    app: App, server: ProviderServer, monkeypatch: pytest.MonkeyPatch, provider: str
) -> None:
    monkeypatch.setenv(f"{provider.upper()}_API_KEY", KEY)
    monkeypatch.setenv("OPENAI_BASE_URL", server.openai_url)
    monkeypatch.setenv("ANTHROPIC_BASE_URL", server.anthropic_url)
    text = await say(app, f"{provider}/any-name-at-all")

    assert "pineapple" in text
    assert KEY in str(server.requests[-1].headers)
    assert server.requests[-1].json["model"] == "any-name-at-all"


async def test_the_address_in_settings_comes_before_the_variable(
    app: App, server: ProviderServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:9/v1")
    await app.settings.change({"openai_base_url": server.openai_url})

    assert "pineapple" in await say(app, "openai/m")


async def test_a_server_without_a_key_gets_none_of_the_environments(
    app: App, server: ProviderServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    await app.settings.change({"servers": [local(server)]})

    assert "pineapple" in await say(app, "local/m")
    assert KEY not in str(server.requests[-1].headers)


async def test_a_local_model_without_settings_is_asked_at_the_variables_address(
    app: App, server: ProviderServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", server.openai_url)
    monkeypatch.setenv("OPENAI_API_KEY", KEY)

    assert "pineapple" in await say(app, "local/m")
    assert "/v1/chat/completions" == server.requests[-1].path
    assert KEY not in str(server.requests[-1].headers)


async def test_what_cannot_answer_says_what_to_do(app: App) -> None:
    with pytest.raises(NoKey):
        await app.models.make("openai/m")
    with pytest.raises(NoModel):
        await app.models.make("nowhere/m")
    with pytest.raises(NoModel):
        await app.models.make("scripted/m")
    with pytest.raises(DeviceModelError):
        await app.models.make("device/not-there")


@pytest.mark.parametrize("address", ["http://[", "http://a:99999999", "ftp://a", "nonsense"])
async def test_what_is_no_address_is_said_so(app: App, monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", address)

    with pytest.raises(RequestRefused, match="is not an address"):
        await app.models.make("openai/gpt-x")
    assert "is not an address" in (await of_provider(app, "openai")).problem
    assert "is not an address" in (await app.models.test_key("openai")).message


async def test_a_model_that_was_passed_in_comes_first(tmp_path: Path) -> None:
    scripted = ScriptedModel(["hello"], name="openai/m")
    async with open_app(
        Paths(tmp_path, tmp_path / "logs", tmp_path / "cache"), {"openai/m": scripted}
    ) as app:
        assert await app.models.make("openai/m") is scripted
        assert await app.models.default() == "openai/m"


# -- keys and servers ----------------------------------------------------------------------------


async def test_a_key_is_tested_with_one_small_call(
    app: App, server: ProviderServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    missing = await app.models.test_key("openai")
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    await app.settings.change({"openai_base_url": server.openai_url})
    good = await app.models.test_key("openai")
    server.route("/v1/models", error_reply(401, {"error": {"message": f"Incorrect API key: {KEY}"}}))
    bad = await app.models.test_key("openai")

    assert [(missing.works, good.works, bad.works)] == [(False, True, False)]
    assert "Settings" in missing.hint
    assert KEY not in bad.message + bad.hint


# -- settings ------------------------------------------------------------------------------------


async def test_settings_survive_a_restart_and_tell_the_page(tmp_path: Path, server: ProviderServer) -> None:
    async with opened(tmp_path) as app:
        assert app.settings.current == Settings()
        changed = await app.settings.change({"theme": "dark", "servers": [local(server)]})
        await app.settings.save_new_chat_draft("half a thou")
        assert [SettingsChanged(changed), ModelsChanged()] == app.events.since(0, 10)
    async with opened(tmp_path) as app:
        assert app.settings.current == Settings(theme="dark", servers=[local(server)])
        assert await app.settings.new_chat_draft() == "half a thou"


async def test_a_setting_that_cannot_be_read_does_not_stop_the_program(tmp_path: Path) -> None:
    async with opened(tmp_path) as app:
        await app.store.write(
            rows.save, {"servers": [{"id": "a server of the future"}], "default_model": "a/b"}
        )
    async with opened(tmp_path) as app:
        assert app.settings.current == Settings(default_model="a/b")


@pytest.mark.parametrize("ids", [["a", "a"], ["openai"], ["device"]])
async def test_servers_do_not_share_an_id_or_take_a_providers(app: App, ids: list[str]) -> None:
    with pytest.raises(InvalidRequest, match="is taken"):
        await app.settings.change({"servers": [Server(id, "x", "http://127.0.0.1:9/v1") for id in ids]})

    assert app.settings.current.servers == []
