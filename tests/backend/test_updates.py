"""The look for a newer Deskside, against a server that tells the truth, lies, or is silent."""

from __future__ import annotations

import asyncio
import json
import threading
from base64 import b64encode
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import pytest
from test_runs import until

from deskside.backend.app import App, open_app
from deskside.backend.errors import NotFound, Offline, UpdateLookFailed
from deskside.backend.events import NetworkChanged, UpdatesChanged
from deskside.backend.store import network
from deskside.backend.store.network import NetworkRow
from deskside.backend.updates import updates
from deskside.backend.version import VERSION
from release_server import NEWER, NOW_MS, ReleaseServer, manifest
from stores import paths_in
from update_manifest import signed

Opened = Callable[[], AbstractAsyncContextManager[App]]


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[ReleaseServer]:
    with ReleaseServer() as server:
        for name, value in server.environ.items():
            monkeypatch.setenv(name, value)
        server.say(NEWER, VERSION)
        yield server


@pytest.fixture
def opened(tmp_path: Path) -> Opened:
    """The program, on the same data each time."""

    @asynccontextmanager
    async def opened() -> AsyncIterator[App]:
        async with open_app(paths_in(tmp_path)) as app:
            yield app

    return opened


@pytest.fixture
async def app(server: ReleaseServer, opened: Opened) -> AsyncIterator[App]:
    async with opened() as app:
        yield app


async def uses(app: App) -> list[NetworkRow]:
    """What the ledger says, once it says something that is over."""
    async with asyncio.timeout(10):
        while True:
            number = app.events.last
            rows = await app.store.read(network.page, None, 100, "", "update_look", True)
            if rows and all(row.outcome for row in rows):
                return rows
            await app.events.wait_beyond(number)


# -- what is told ---------------------------------------------------------------------------------


async def test_a_newer_version_is_told_with_its_notes_and_where_to_get_it(app: App) -> None:
    found = await app.updates.look()

    assert found.newer is not None
    assert (NEWER, "2026-12-01", f"- What is new in {NEWER}.") == (
        found.newer.version,
        found.newer.date,
        found.newer.notes,
    )
    assert found.newer.download is not None
    assert found.newer.download.startswith("https://deskside.example/")
    assert found.is_supported
    assert found == app.updates.state
    event = await until(app, lambda event: isinstance(event, UpdatesChanged))
    assert UpdatesChanged(found) == event


async def test_who_comes_from_further_back_reads_the_notes_of_all_that_came_since(
    app: App, server: ReleaseServer
) -> None:
    server.say(NEWER, "8.0.0", VERSION, "0.0.1")

    found = await app.updates.look()

    assert found.newer is not None
    assert (
        f"## {NEWER}\n\n- What is new in {NEWER}.\n\n## 8.0.0\n\n- What is new in 8.0.0." == found.newer.notes
    )


async def test_the_same_version_is_no_news(app: App, server: ReleaseServer) -> None:
    server.say(VERSION)

    found = await app.updates.look()

    assert found.newer is None
    assert found.looked_ms is not None
    assert "" == found.problem


async def test_an_older_version_is_no_news(app: App, server: ReleaseServer) -> None:
    server.say("0.0.1", oldest_supported="0.0.1")

    assert (await app.updates.look()).newer is None


async def test_a_version_that_gets_no_fixes_any_more_is_said_to_be(app: App, server: ReleaseServer) -> None:
    server.say(NEWER, oldest_supported=NEWER)

    assert not (await app.updates.look()).is_supported


async def test_what_was_found_is_known_at_the_next_start(server: ReleaseServer, opened: Opened) -> None:
    async with opened() as app:
        found = await app.updates.look()
    async with opened() as app:
        assert found == app.updates.state
    assert 1 == len(server.requests)


async def test_what_cannot_be_read_of_an_earlier_look_is_learned_anew(
    server: ReleaseServer, opened: Opened
) -> None:
    async with opened() as app:
        await app.store.write(updates.rows.save, {updates.STORED_AS: {"manifest": "from another time"}})
    async with opened() as app:
        assert app.updates.state.newer is None
        assert (await app.updates.look()).newer is not None


# -- what is not believed -------------------------------------------------------------------------


async def test_a_signature_of_somebody_else_is_ignored(app: App, server: ReleaseServer) -> None:
    with ReleaseServer() as somebody_else:
        somebody_else.say(NEWER)
        server.body = somebody_else.body

    with pytest.raises(UpdateLookFailed, match="not signed"):
        await app.updates.look()

    assert app.updates.state.newer is None
    assert app.updates.state.looked_ms is None
    assert "not signed" in app.updates.state.problem


async def test_a_changed_byte_is_ignored(app: App, server: ReleaseServer) -> None:
    envelope = json.loads(server.body)
    signature = envelope["signature"]
    for changed in (
        {"signed": envelope["signed"].replace("9", "8", 1)},
        {"signed": envelope["signed"] + " "},
        {"signature": f"{'B' if signature[0] == 'A' else 'A'}{signature[1:]}"},
        {"signature": signature[:-4]},
    ):
        server.body = json.dumps(envelope | changed).encode()

        with pytest.raises(UpdateLookFailed, match="not signed"):
            await app.updates.look()

        assert app.updates.state.newer is None


GARBAGE = (
    b"",
    b"{}",
    b"<html><title>Welcome to our hotel</title>",
    b"\xff\xfe\x00",
    b"[" * 100_000,
    b'{"x": ' + b"[" * 100_000,
    b'{"signature": "", "signed": ""}',
    b'{"signature": "\xc3\xa4", "signed": "{}"}',
    b'{"signature": 1, "signed": {}}',
)


async def test_garbage_is_ignored(app: App, server: ReleaseServer) -> None:
    for body in GARBAGE:
        server.body = body

        with pytest.raises(UpdateLookFailed):
            await app.updates.look()

        assert app.updates.state.newer is None


NONSENSE: tuple[dict[str, object], ...] = (
    {"releases": []},
    {"oldest_supported": "the first"},
    {"downloads": {"linux": "javascript:alert(1)"}},
    {"downloads": {"linux": "http://deskside.example"}},
    {"signed_ms": "yesterday"},
    {"releases": [{"version": "1.0.0\n", "date": "2026-12-01", "notes": ""}]},
    {"releases": [{"version": "1.0.0", "date": "2026-12-01", "notes": ""}] * 2},
)


async def test_what_is_signed_and_makes_no_sense_is_ignored(app: App, server: ReleaseServer) -> None:
    for changes in NONSENSE:
        server.say(NEWER, **changes)

        with pytest.raises(UpdateLookFailed, match="form that this Deskside cannot read"):
            await app.updates.look()


async def test_what_a_later_deskside_adds_is_no_problem(app: App, server: ReleaseServer) -> None:
    server.say(NEWER, channel="stable")

    assert (await app.updates.look()).newer is not None


async def test_a_signature_for_something_else_is_none(app: App, server: ReleaseServer) -> None:
    text = json.dumps(manifest(NEWER))
    envelope = json.loads(signed(manifest(NEWER), server.key))
    bare = server.key.sign(text.encode())
    server.body = json.dumps(envelope | {"signed": text, "signature": b64encode(bare).decode()}).encode()

    with pytest.raises(UpdateLookFailed, match="not signed"):
        await app.updates.look()


async def test_an_older_file_does_not_hide_what_came_after_it(app: App, server: ReleaseServer) -> None:
    found = await app.updates.look()
    server.say(VERSION, signed_ms=NOW_MS - 1)
    with pytest.raises(UpdateLookFailed, match="older than what it sent before"):
        await app.updates.look()
    server.say("8.0.0", signed_ms=NOW_MS + 1)
    with pytest.raises(UpdateLookFailed, match="older than what it sent before"):
        await app.updates.look()

    assert found.newer == app.updates.state.newer
    server.say(NEWER, signed_ms=NOW_MS + 1)
    assert "" == (await app.updates.look()).problem


# -- who does not answer well ---------------------------------------------------------------------


async def test_a_server_that_does_not_finish_is_given_up(
    app: App, server: ReleaseServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(updates, "LIMIT_S", 0.3)
    server.goes_on.clear()

    with pytest.raises(UpdateLookFailed, match="did not answer within"):
        await app.updates.look()

    assert "did not answer within" in app.updates.state.problem


async def test_what_is_too_long_is_not_read_to_its_end(app: App, server: ReleaseServer) -> None:
    server.body = b" " * (8 * updates.MOST_BYTES) + server.body

    with pytest.raises(UpdateLookFailed, match="too long"):
        await app.updates.look()

    [row] = await uses(app)
    assert row.received_bytes < 3 * updates.MOST_BYTES


async def test_nobody_is_followed_to_another_place(app: App, server: ReleaseServer) -> None:
    with ReleaseServer() as elsewhere:
        elsewhere.key = server.key
        elsewhere.say(NEWER)
        for status in (301, 302, 307, 308):
            server.status, server.headers = status, {"Location": elsewhere.url}

            with pytest.raises(UpdateLookFailed, match=str(status)):
                await app.updates.look()

        assert [] == elsewhere.requests


async def test_an_error_page_is_said_to_be_one(app: App, server: ReleaseServer) -> None:
    for status in (404, 500, 503):
        server.status = status

        with pytest.raises(UpdateLookFailed, match=f"HTTP {status}"):
            await app.updates.look()


async def test_nobody_there_is_said(
    opened: Opened, server: ReleaseServer, unused_tcp_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DESKSIDE_UPDATE_URL", f"http://127.0.0.1:{unused_tcp_port}/latest.json")
    async with opened() as app:
        with pytest.raises(UpdateLookFailed, match="could not be reached"):
            await app.updates.look()


async def test_offline_the_look_is_refused_and_says_so(
    opened: Opened, server: ReleaseServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DESKSIDE_UPDATE_URL", "https://releases.example/latest.json")
    async with opened() as app:
        await app.network.turn(True)

        with pytest.raises(Offline, match=r"releases\.example"):
            await app.updates.look()

        assert ["refused"] == [row.outcome for row in await uses(app)]


# -- what the other side learns -------------------------------------------------------------------


async def test_whoever_answers_learns_nothing_but_that_somebody_asked(
    app: App, server: ReleaseServer
) -> None:
    server.headers = {"Set-Cookie": "who=you; Max-Age=99999999; Path=/"}
    await app.updates.look()
    await app.updates.look()

    first, second = server.requests
    assert first == second
    assert "/latest.json" == first.path
    assert {"host", "connection", "user-agent", "accept", "accept-encoding"} == set(first.headers)
    assert "Deskside" == first.headers["user-agent"]
    assert VERSION not in str(first)


async def test_the_look_is_in_the_list_of_what_left_the_machine(app: App) -> None:
    await app.updates.look()

    [row] = await uses(app)
    assert ("update_look", "", "127.0.0.1", "done") == (row.purpose, row.subject, row.host, row.outcome)


# -- each day -------------------------------------------------------------------------------------


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """The daily look is made right after the start."""
    monkeypatch.setattr(updates, "FIRST_LOOK_S", 0)


@pytest.fixture
def passes(monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """Set once the daily look was considered."""
    considered = threading.Event()
    really = updates.Updates.look_when_due

    async def look_when_due(self: updates.Updates) -> None:
        await really(self)
        considered.set()

    monkeypatch.setattr(updates.Updates, "look_when_due", look_when_due)
    return considered


async def considered(passes: threading.Event) -> None:
    assert await asyncio.to_thread(passes.wait, 10)
    passes.clear()


@pytest.mark.usefixtures("at_once")
async def test_a_start_looks_by_itself_and_another_one_on_the_same_day_does_not(
    server: ReleaseServer, opened: Opened, passes: threading.Event
) -> None:
    async with opened() as app:
        await considered(passes)
        assert app.updates.state.newer is not None
    async with opened():
        await considered(passes)

    assert 1 == len(server.requests)


@pytest.mark.usefixtures("at_once")
async def test_a_day_later_it_looks_again(
    server: ReleaseServer, opened: Opened, passes: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened():
        await considered(passes)
    now_ms = updates.now_ms()
    monkeypatch.setattr(updates, "now_ms", lambda: now_ms + updates.DAY_MS + 1)
    async with opened():
        await considered(passes)

    assert 2 == len(server.requests)


@pytest.mark.usefixtures("at_once")
async def test_a_clock_that_was_years_ahead_does_not_end_the_looks(
    server: ReleaseServer, opened: Opened, passes: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    now_ms = updates.now_ms()
    with monkeypatch.context() as ahead:
        ahead.setattr(updates, "now_ms", lambda: now_ms + 1000 * updates.DAY_MS)
        async with opened():
            await considered(passes)
    async with opened():
        await considered(passes)

    assert 2 == len(server.requests)


@pytest.mark.usefixtures("at_once")
async def test_who_does_not_want_it_is_not_looked_for_but_may_ask(
    server: ReleaseServer, opened: Opened, passes: threading.Event
) -> None:
    async with opened() as app:
        await considered(passes)
        await app.settings.change({"looks_for_updates": False})
        await app.store.write(updates.rows.save, {updates.STORED_AS: {}})
    async with opened() as app:
        await considered(passes)
        assert 1 == len(server.requests)
        assert (await app.updates.look()).newer is not None


@pytest.mark.usefixtures("at_once")
async def test_offline_the_daily_look_is_not_even_refused(
    server: ReleaseServer, tmp_path: Path, passes: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DESKSIDE_UPDATE_URL", "https://releases.example/latest.json")
    async with open_app(paths_in(tmp_path), is_offline=True) as app:
        await considered(passes)
        after = app.events.last
        assert "" == app.updates.state.problem
        # The next one is in the ledger, and alone there.
        with pytest.raises(Offline):
            await app.updates.look()
        await until(app, lambda event: isinstance(event, NetworkChanged), after)
        assert 1 == len(await uses(app))


@pytest.mark.usefixtures("at_once")
async def test_a_daily_look_that_fails_is_quiet_and_known(
    server: ReleaseServer, opened: Opened, passes: threading.Event
) -> None:
    server.status = 503
    async with opened() as app:
        await considered(passes)

        assert "HTTP 503" in app.updates.state.problem
        assert app.updates.state.looked_ms is None
        assert {"updates_changed", "network_changed"} >= {
            type(event).__struct_config__.tag for event in app.events.since(0, 1000) or []
        }


# -- skipping -------------------------------------------------------------------------------------


async def test_a_version_that_is_skipped_stays_so_until_there_is_another(
    server: ReleaseServer, opened: Opened
) -> None:
    async with opened() as app:
        await app.updates.look()
        await app.updates.skip(NEWER)
    async with opened() as app:
        skipped = (await app.updates.look()).newer
        server.say("9.0.1", NEWER, VERSION)
        next_one = (await app.updates.look()).newer

    assert skipped is not None
    assert skipped.is_skipped
    assert next_one is not None
    assert ("9.0.1", False) == (next_one.version, next_one.is_skipped)


async def test_skipping_can_be_taken_back(app: App) -> None:
    await app.updates.look()
    await app.updates.skip(NEWER)

    newer = (await app.updates.skip(None)).newer

    assert newer is not None
    assert not newer.is_skipped


async def test_only_what_is_offered_can_be_skipped(app: App) -> None:
    await app.updates.look()

    with pytest.raises(NotFound):
        await app.updates.skip("8.0.0")


# -- who does not look ----------------------------------------------------------------------------


async def test_a_deskside_from_its_sources_asks_nobody(opened: Opened) -> None:
    async with opened() as app:
        assert "built from its sources" in app.updates.state.why_not
        with pytest.raises(UpdateLookFailed, match="built from its sources"):
            await app.updates.look()


async def test_a_package_of_a_distribution_asks_nobody_and_says_who_brings_updates(
    server: ReleaseServer, opened: Opened, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "distribution.json"
    package.write_text('{"name": "Debian", "how_to_update": "Run: sudo apt upgrade"}', "utf-8")
    monkeypatch.setattr("deskside.backend.updates.origin.DISTRIBUTION", package)
    async with opened() as app:
        assert (
            "This Deskside comes from Debian, and so do its updates. Run: sudo apt upgrade"
            == app.updates.state.why_not
        )
        with pytest.raises(UpdateLookFailed, match="Debian"):
            await app.updates.look()

    assert [] == server.requests


async def test_a_package_file_that_cannot_be_read_still_means_that_nobody_is_asked(
    server: ReleaseServer, opened: Opened, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "distribution.json"
    package.write_text("Debian", "utf-8")
    monkeypatch.setattr("deskside.backend.updates.origin.DISTRIBUTION", package)
    async with opened() as app:
        assert "Updates come from where" in app.updates.state.why_not
        with pytest.raises(UpdateLookFailed):
            await app.updates.look()
