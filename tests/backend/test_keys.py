"""Keys: where each is kept, what may be seen of it, and that it is found nowhere else."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import closing
from pathlib import Path

import msgspec
import pytest
from loguru import logger

from deskside.backend.errors import InvalidRequest, KeychainUnavailable, NoKey, NotFound
from deskside.backend.events import AppEvent, KeysChanged, ModelsChanged
from deskside.backend.keychain import LONGEST_SECRET
from deskside.backend.keys import KeyList, Keys, clean_secret, last_four
from deskside.backend.paths import Paths
from deskside.backend.secret_file import SecretFile
from deskside.backend.settings import Server
from deskside.backend.store import settings
from deskside.backend.store.database import Store, open_store
from secret_service import secret_service

NO_KEYCHAIN = {"PYTHON_KEYRING_BACKEND": "keyring.backends.fail.Keyring"}
PLANTED = "sk-planted-0123456789abcdefWXYZ"
PASSPHRASE = "correct horse battery"

linux = pytest.mark.skipif(sys.platform != "linux", reason="the Secret Service is Linux's keychain")


class Published(list[AppEvent]):
    """Takes the place of the event buffer: what was published, in order."""

    publish = list.append


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    data = tmp_path / "data"
    data.mkdir()
    return Paths(data=data, logs=tmp_path / "logs", cache=tmp_path / "cache")


@pytest.fixture
async def store(paths: Paths) -> AsyncIterator[Store]:
    async with open_store(paths) as store:
        yield store


@pytest.fixture
def events() -> Published:
    return Published()


@pytest.fixture
def make(store: Store, events: Published, paths: Paths) -> Callable[..., Keys]:
    """Keys of a machine without a keychain; the environment's variables as keywords."""
    return lambda **environ: Keys(store, events, paths, NO_KEYCHAIN | environ)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def bus() -> Iterator[str]:
    with secret_service() as address:
        yield address


@pytest.fixture
def with_keychain(
    bus: str, store: Store, events: Published, paths: Paths, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Keys]:
    """Keys of a machine with a real, empty Secret Service."""
    monkeypatch.setenv("DBUS_SESSION_BUS_ADDRESS", bus)
    delete_outside("openai")
    return lambda **environ: Keys(store, events, paths, environ)  # type: ignore[arg-type]


def delete_outside(provider: str) -> None:
    """As the user does in the system's own program."""
    import secretstorage

    with closing(secretstorage.dbus_init()) as connection:
        collection = secretstorage.get_default_collection(connection)
        for item in list(collection.search_items({"service": "deskside", "username": provider})):
            item.delete()


def sources(keys: KeyList) -> dict[str, str]:
    return {row.provider: row.source for row in keys.keys}


# -- the environment ----------------------------------------------------------------------------------


async def test_a_key_from_the_environment_is_used_shown_and_not_stored(
    make: Callable[..., Keys], store: Store
) -> None:
    keys = make(OPENAI_API_KEY=f"{PLANTED}\n")

    assert await keys.secret("openai") == PLANTED
    (row,) = (await keys.overview()).keys
    assert (row.provider, row.label, row.last_four, row.source) == ("openai", "OpenAI", "WXYZ", "environment")
    assert row.last_used_ms is not None
    assert sources(await make().overview()) == {}


async def test_no_key_at_all_is_no_key(make: Callable[..., Keys]) -> None:
    keys = make(ANTHROPIC_API_KEY="  ")

    with pytest.raises(NoKey, match="Anthropic"):
        await keys.secret("anthropic")
    assert (await keys.overview()).keys == []


async def test_a_broken_key_in_the_environment_is_named_by_its_variable(make: Callable[..., Keys]) -> None:
    keys = make(OPENAI_API_KEY="sk-one sk-two")

    with pytest.raises(NoKey, match="OPENAI_API_KEY") as refused:
        await keys.secret("openai")
    assert "sk-one" not in refused.value.message
    assert (await keys.overview()).keys == []


async def test_deleting_a_key_of_the_environment_says_which_variable_to_remove(
    make: Callable[..., Keys],
) -> None:
    with pytest.raises(InvalidRequest) as refused:
        await make(OPENAI_API_KEY=PLANTED).delete("openai")

    assert "OPENAI_API_KEY" in refused.value.hint


async def test_only_the_two_known_variables_are_looked_at(make: Callable[..., Keys]) -> None:
    with pytest.raises(NoKey):
        await make(LOCAL_API_KEY=PLANTED).secret("local")


# -- what a key may be --------------------------------------------------------------------------------


@pytest.mark.parametrize("around", ["{}", " {}", "{}\r\n", "\t{} \n", "\ufeff{}"[1:]])
def test_white_space_around_a_pasted_key_is_dropped(around: str) -> None:
    assert clean_secret(around.format(PLANTED)) == PLANTED


@pytest.mark.parametrize(
    "bad", ["sk-a b12345", "sk-a\nb12345", "sk-a\x00b12345", "sk-\u200bab12345", "sk-äb12345", ""]
)
async def test_what_cannot_be_a_key_is_refused_without_repeating_it(
    make: Callable[..., Keys], bad: str
) -> None:
    with pytest.raises(InvalidRequest) as refused:
        await make().save("openai", bad)

    assert "12345" not in refused.value.message + refused.value.hint


def test_a_key_has_up_to_as_many_characters_as_windows_keeps() -> None:
    assert clean_secret("x" * LONGEST_SECRET)
    with pytest.raises(InvalidRequest):
        clean_secret("x" * (LONGEST_SECRET + 1))


@pytest.mark.parametrize(
    ("secret", "shown"), [("x" * 8 + "WXYZ", "WXYZ"), ("x" * 7 + "WXYZ", ""), ("WXYZ", "")]
)
def test_the_end_of_a_short_key_is_not_shown(secret: str, shown: str) -> None:
    assert last_four(secret) == shown


# -- no keychain: the file ----------------------------------------------------------------------------


async def test_without_a_keychain_saving_says_so_and_offers_the_file(make: Callable[..., Keys]) -> None:
    keys = make()

    with pytest.raises(KeychainUnavailable) as refused:
        await keys.save("openai", PLANTED)
    status = (await keys.overview()).keychain
    assert "file" in refused.value.hint
    assert (status.state, status.hint) == ("missing", refused.value.hint)


async def test_a_key_in_the_file_needs_the_passphrase_after_a_restart(make: Callable[..., Keys]) -> None:
    before = make()
    await before.use_file(PASSPHRASE)
    saved = await before.save("anthropic", PLANTED)
    after = make()
    locked = await after.overview()

    assert (sources(saved), saved.keychain.state) == ({"anthropic": "file"}, "file_ready")
    assert (sources(locked), locked.keychain.state) == ({"anthropic": "file"}, "file_locked")
    with pytest.raises(KeychainUnavailable, match="locked"):
        await after.secret("anthropic")
    with pytest.raises(KeychainUnavailable, match="locked"):
        await after.save("openai", PLANTED)
    with pytest.raises(KeychainUnavailable, match="passphrase"):
        await after.use_file("wrong horse battery")
    assert (await after.use_file(PASSPHRASE)).keychain.state == "file_ready"
    assert await after.secret("anthropic") == PLANTED


async def test_a_lost_passphrase_costs_the_keys_and_nothing_else(make: Callable[..., Keys]) -> None:
    before = make()
    await before.use_file(PASSPHRASE)
    await before.save("openai", PLANTED)
    after = make()

    gone = await after.delete("openai")

    assert (gone.keys, gone.keychain.state) == ([], "missing")
    assert (await after.use_file("a new passphrase")).keychain.state == "file_ready"


async def test_a_file_that_was_deleted_outside_takes_its_rows_along(
    make: Callable[..., Keys], paths: Paths, events: Published
) -> None:
    keys = make()
    await keys.use_file(PASSPHRASE)
    await keys.save("openai", PLANTED)
    (paths.data / "keys.json").unlink()
    events.clear()

    assert (await keys.overview()).keys == []
    assert events == [KeysChanged(), ModelsChanged()]


async def test_a_damaged_file_is_told_and_its_rows_stay(make: Callable[..., Keys], paths: Paths) -> None:
    keys = make()
    await keys.use_file(PASSPHRASE)
    await keys.save("openai", PLANTED)
    (paths.data / "keys.json").write_text("{}")

    overview = await keys.overview()

    assert sources(overview) == {"openai": "file"}
    assert "damaged" in overview.keychain.hint


async def test_an_unreachable_key_gives_way_to_the_environment_s(make: Callable[..., Keys]) -> None:
    before = make()
    await before.use_file(PASSPHRASE)
    await before.save("openai", PLANTED)

    assert await make(OPENAI_API_KEY="sk-of-the-environment").secret("openai") == "sk-of-the-environment"


async def test_a_server_s_key_carries_the_label_of_the_server(
    make: Callable[..., Keys], store: Store
) -> None:
    await store.write(
        settings.save, {"servers": [Server(id="local", label="Basement", base_url="http://h/v1")]}
    )
    keys = make()
    await keys.use_file(PASSPHRASE)

    await keys.save("local", PLANTED)
    overview = await keys.save("unheard-of", PLANTED)

    assert {"local": "Basement", "unheard-of": "unheard-of"} == {
        row.provider: row.label for row in overview.keys
    }


async def test_a_key_is_not_sent_to_another_server_that_took_the_name(
    make: Callable[..., Keys], store: Store
) -> None:
    async def serve(base_url: str) -> None:
        await store.write(settings.save, {"servers": [Server(id="local", label="Here", base_url=base_url)]})

    keys = make()
    await keys.use_file(PASSPHRASE)
    await serve("http://127.0.0.1:1234/v1")
    await keys.save("local", PLANTED)
    assert PLANTED == await keys.secret("local")

    await serve("http://elsewhere.example/v1")
    with pytest.raises(NoKey):
        await keys.secret("local")

    await serve("http://127.0.0.1:1234/other/v1")
    assert PLANTED == await keys.secret("local")


# -- the keychain -------------------------------------------------------------------------------------


@linux
async def test_a_key_lives_in_the_keychain_over_a_restart(with_keychain: Callable[..., Keys]) -> None:
    overview = await with_keychain().save("openai", f" {PLANTED}\n")
    again = with_keychain(OPENAI_API_KEY="sk-of-the-environment")

    assert await again.secret("openai") == PLANTED
    (row,) = overview.keys
    assert (row.label, row.last_four, row.source, row.last_used_ms) == ("OpenAI", "WXYZ", "keychain", None)
    assert overview.keychain.state == "ready"
    assert (await again.overview()).keys[0].last_used_ms is not None


@linux
async def test_a_deleted_key_is_gone_and_the_environment_s_shows(with_keychain: Callable[..., Keys]) -> None:
    keys = with_keychain(OPENAI_API_KEY="sk-of-the-environment")
    await keys.save("openai", PLANTED)

    overview = await keys.delete("openai")

    assert sources(overview) == {"openai": "environment"}
    assert await keys.secret("openai") == "sk-of-the-environment"
    with pytest.raises(NotFound):
        await keys.delete("anthropic")


@linux
async def test_a_key_deleted_in_the_system_s_own_program_is_noticed(
    with_keychain: Callable[..., Keys], events: Published
) -> None:
    keys = with_keychain()
    await keys.save("openai", PLANTED)
    delete_outside("openai")
    events.clear()

    assert (await keys.overview()).keys == []
    assert KeysChanged() in events
    with pytest.raises(NoKey):
        await keys.secret("openai")


@linux
async def test_use_of_a_key_deleted_outside_drops_its_row(
    with_keychain: Callable[..., Keys], store: Store
) -> None:
    await with_keychain().save("openai", PLANTED)
    delete_outside("openai")
    keys = with_keychain()

    with pytest.raises(NoKey):
        await keys.secret("openai")
    assert (await keys.overview()).keys == []


@linux
async def test_a_key_moves_to_the_file_and_leaves_nothing_behind(
    with_keychain: Callable[..., Keys], bus: str
) -> None:
    keys = with_keychain()
    await keys.save("openai", PLANTED)
    await keys.use_file(PASSPHRASE)
    kept = await keys.overview()

    moved = await keys.save("openai", PLANTED)

    assert (sources(kept), sources(moved)) == ({"openai": "keychain"}, {"openai": "file"})
    assert await keys._keychain.read("openai") is None


@linux
async def test_another_data_folder_does_not_find_the_user_s_keys(
    with_keychain: Callable[..., Keys], events: Published, tmp_path: Path
) -> None:
    await with_keychain().save("openai", PLANTED)
    other = Paths(data=tmp_path / "other", logs=tmp_path, cache=tmp_path)

    async with open_store(other) as store:
        with pytest.raises(NoKey):
            await Keys(store, events, other, {}).secret("openai")  # type: ignore[arg-type]


# -- nowhere else -------------------------------------------------------------------------------------


@linux
async def test_a_planted_key_is_found_nowhere(
    with_keychain: Callable[..., Keys], make: Callable[..., Keys], paths: Paths, events: Published
) -> None:
    lines: list[str] = []
    sink = logger.add(lines.append, level="TRACE", format="{message} {extra} {exception}")
    try:
        seen = [await with_keychain().save("openai", PLANTED)]
        keys = make(ANTHROPIC_API_KEY=PLANTED)
        await keys.use_file(PASSPHRASE)
        seen += [await keys.save("local", PLANTED), await keys.overview()]
        for provider in ("local", "anthropic"):
            assert await keys.secret(provider) == PLANTED
        with pytest.raises(KeychainUnavailable):
            await keys.secret("openai")
        # Its keychain is switched off, and the environment's steps in, which is logged.
        assert await make(OPENAI_API_KEY=PLANTED).secret("openai") == PLANTED
    finally:
        logger.remove(sink)

    page = msgspec.json.encode([seen, events]).decode()
    assert {"openai", "anthropic", "local"} == {row.provider for row in seen[-1].keys}
    assert "unreachable" in "".join(lines)
    assert PLANTED not in page + "".join(lines) + repr(keys._remembered)
    for path in paths.data.parent.rglob("*"):
        if path.is_file():
            content = path.read_bytes()
            assert PLANTED.encode() not in content, path
            assert PLANTED.encode("utf-16-le") not in content, path
            assert PASSPHRASE.encode() not in content, path


async def test_a_key_saved_while_the_list_is_made_is_not_taken_for_a_deleted_one(
    make: Callable[..., Keys], paths: Paths, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = make()
    await keys.use_file(PASSPHRASE)
    await keys.save("anthropic", PLANTED)
    await keys.save("openai", PLANTED)
    SecretFile(paths.data / "keys.json").remove("openai")
    loop, has = asyncio.get_running_loop(), SecretFile.has
    saved: list[KeyList] = []

    def has_before_it_is_saved(file: SecretFile, name: str) -> bool:
        found = has(file, name)
        if not found and not saved:
            saved.append(asyncio.run_coroutine_threadsafe(keys.save(name, PLANTED), loop).result(10))
        return found

    monkeypatch.setattr(SecretFile, "has", has_before_it_is_saved)
    listed = await keys.overview()

    assert saved
    assert {"anthropic", "openai"} == {row.provider for row in listed.keys}
    assert PLANTED == await keys.secret("openai")
