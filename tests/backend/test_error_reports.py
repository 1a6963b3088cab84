"""What a Sentry server gets, and never gets: without a DSN nothing, nobody's words, each kind once."""

from __future__ import annotations

import asyncio
import json
import platform
import signal
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from loguru import logger
from test_runs import ended
from test_told_faults import end_badly
from test_web_proxy import use

from deskside.backend import error_reports, redaction, sentry
from deskside.backend.agent.scripted_model import ScriptedModel
from deskside.backend.app import App, open_app
from deskside.backend.crashes import reporting
from deskside.backend.errors import AppError, InvalidRequest, Offline, ReportFailed
from deskside.backend.log import note_call, open_log, request_id
from deskside.backend.metrics.timings import Timings
from deskside.backend.network import dialing
from deskside.backend.paths import Paths
from deskside.backend.redaction import Redactor
from deskside.backend.store import conversations, errors, network
from deskside.backend.store.errors import ErrorRow
from deskside.backend.store.network import NetworkRow
from deskside.backend.version import VERSION
from deskside.bridge.commands import COMMANDS
from deskside.bridge.desktop import NoDesktop
from deskside.bridge.registry import Bridge, Registry
from provider_server import ProviderServer, Reply, error_reply
from small_internet import SmallInternet

PROMPT = "what my doctor wrote about the planted illness"
KEY = "a-planted-key/0123456789+abc"
PATH = "/api/7/envelope/"
TAKEN = Reply(b'{"id":"taken"}', 200, "application/json")


@pytest.fixture
def server() -> Iterator[ProviderServer]:
    with ProviderServer() as server:
        server.route(PATH, TAKEN)
        yield server


def dsn_of(server: ProviderServer) -> str:
    return f"http://publickey@127.0.0.1:{server.port}/7"


@asynccontextmanager
async def program(folder: Path, dsn: str = "") -> AsyncIterator[App]:
    paths = Paths(folder / "data", folder / "logs", folder / "cache")
    # At DEBUG the log holds what exceptions say.
    with open_log(paths.logs, "DEBUG"), reporting(paths.crashes):
        async with open_app(paths, {"scripted/model": ScriptedModel(["Hello."])}) as app:
            if dsn:
                await app.settings.change({"sentry_dsn": dsn})
            yield app


async def call(app: App, name: str, **params: Any) -> Any:
    bridge = Bridge(app, Registry(COMMANDS), NoDesktop(), Timings())
    return await bridge.registry.dispatch(bridge, name, json.dumps(params).encode())


async def settled(app: App) -> None:
    """Once all that was logged before is in the error log, and reported."""
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    await app.faults.finish()
    await app.error_reports.finish()


def events(server: ProviderServer) -> list[dict[str, Any]]:
    """What the server read: an envelope of one item, as long as it says."""
    found = []
    for request in server.requests:
        head, item, rest = request.body.split(b"\n", 2)
        length = json.loads(item)["length"]
        assert {"type": "event", "length": length} == json.loads(item)
        assert b"\n" == rest[length:]
        event = json.loads(rest[:length])
        assert json.loads(head)["event_id"] == event["event_id"]
        found.append(event)
    return found


async def kept(app: App) -> list[ErrorRow]:
    return await app.store.read(errors.recent, 100)


async def sends(app: App, count: int = 1) -> list[NetworkRow]:
    """The ledger's rows of reports, once there are so many that are over."""
    async with asyncio.timeout(10):
        while True:
            number = app.events.last
            rows = await app.store.read(network.page, None, 100, "", "error_report", True)
            if len(rows) >= count and all(row.outcome for row in rows):
                return rows
            await app.events.wait_beyond(number)


def fail(said: str = PROMPT) -> None:
    raise ValueError(f"could not send {said} {KEY}")


def fail_in_thread() -> None:
    thread = threading.Thread(target=fail, name="errand")
    thread.start()
    thread.join()


# -- what is sent ---------------------------------------------------------------------------------


async def test_without_a_dsn_nothing_leaves(tmp_path: Path, server: ProviderServer) -> None:
    async with program(tmp_path, dsn_of(server)) as app:
        await app.settings.change({"sentry_dsn": ""})
        fail_in_thread()
        await settled(app)

        assert 1 == len(await kept(app))
        with pytest.raises(InvalidRequest, match="nobody to report to"):
            await app.error_reports.send_test()

    assert 0 == server.connections


async def test_each_kind_is_reported_once_with_what_helps_to_find_it(
    tmp_path: Path, server: ProviderServer
) -> None:
    async with program(tmp_path, dsn_of(server)) as app:
        request_id.set("feedfacecafe")
        note_call("conversations.rename")
        for _ in range(3):
            fail_in_thread()
            await settled(app)
        logger.error("something else")
        await settled(app)
        other, row = await kept(app)
        sent = await sends(app, 2)

    first, second = events(server)
    assert (3, row.fingerprint) == (row.count, first["fingerprint"][0])
    assert other.fingerprint == second["fingerprint"][0]
    assert "something else" == second["logentry"]["formatted"]
    [exception] = first["exception"]["values"]
    assert ("ValueError", "the thread errand ended with a fault") == (exception["type"], exception["value"])
    last = exception["stacktrace"]["frames"][-1]
    assert ("tests/backend/test_error_reports.py", "fail") == (last["filename"], last["function"])
    assert fail.__code__.co_firstlineno + 1 == last["lineno"]
    assert "vars" not in last
    assert "context_line" not in last
    assert ("conversations.rename", f"deskside@{VERSION}") == (first["transaction"], first["release"])
    assert ("thread", "internal") == (first["tags"]["source"], first["tags"]["code"])
    assert platform.system() == first["contexts"]["os"]["name"]
    assert not {"server_name", "user", "breadcrumbs", "modules", "request"} & first.keys()
    assert row.at_ms / 1000 >= first["timestamp"]
    request = server.requests[0]
    assert "application/x-sentry-envelope" == request.headers["content-type"]
    assert "sentry_key=publickey" in request.headers["x-sentry-auth"]
    assert "sentry_version=7" in request.headers["x-sentry-auth"]
    assert {"127.0.0.1"} == {use.host for use in sent}
    assert {"done"} == {use.outcome for use in sent}
    assert {row.request_id, other.request_id} == {use.request_id for use in sent}


async def test_what_the_user_was_told_of_elsewhere_is_reported_too(
    tmp_path: Path, server: ProviderServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-test")
    server.script(error_reply(400, {"error": {"message": f"cannot read {PROMPT}"}}))
    async with program(tmp_path, dsn_of(server)) as app:
        await app.settings.change({"openai_base_url": server.openai_url})
        monkeypatch.setattr(conversations, "page", lambda *_: fail())
        failed = await call(app, "conversations.page")
        await ended(app, (await app.runs.start(None, PROMPT, "openai/gpt-test")).reply.id)
        await settled(app)
        await sends(app, 2)

    server.requests[:] = [request for request in server.requests if request.path == PATH]
    command, run = events(server)
    assert failed.message == command["logentry"]["formatted"]
    assert "conversations.page" == command["tags"]["place"]
    # What a provider said can hold the question.
    assert "run: request_refused" == run["logentry"]["formatted"]
    assert run["exception"]["values"][-1]["type"].endswith("RequestRefused")
    assert "place" not in run["tags"]


async def test_a_crash_of_the_program_before_is_reported_at_the_start(
    tmp_path: Path, server: ProviderServer
) -> None:
    async with program(tmp_path, dsn_of(server)):
        pass
    assert -signal.SIGSEGV == end_badly(tmp_path / "data" / "crashes", "SIGSEGV")
    assert [] == server.requests

    async with program(tmp_path) as app:
        await settled(app)

    [event] = events(server)
    assert ("fatal", "runs.start") == (event["level"], event["transaction"])
    assert "Python itself crashed: Segmentation fault." == event["logentry"]["formatted"]
    assert "in_here" == event["exception"]["values"][0]["stacktrace"]["frames"][-1]["function"]


async def test_neither_keys_nor_words_nor_names_are_sent(
    tmp_path: Path, server: ProviderServer, monkeypatch: pytest.MonkeyPatch, home: Path
) -> None:
    monkeypatch.setattr(redaction, "PROCESS", Redactor())
    redaction.PROCESS.learn(KEY, "OpenAI")
    monkeypatch.setenv("USER", "annapurna")
    monkeypatch.setattr(platform, "node", lambda: "annas-laptop.example.org")
    # What the page could not read may itself look like a frame of the page.
    said = f"cannot read\n    {PROMPT} {KEY}\n    at doctor (http://127.0.0.1:4711/assets/illness.js:1:2)"
    stack = f"""TypeError: {said}
        at rename (http://127.0.0.1:4711/assets/index-abc.js:12:34)
        at new Chat (http://127.0.0.1:4711/assets/index-abc.js:1:2)
        at {PROMPT} (http://elsewhere.example/{KEY}.js:1:2)"""

    async with program(tmp_path, dsn_of(server)) as app:
        fail_in_thread()
        asyncio.get_running_loop().call_soon(fail, PROMPT)
        task = asyncio.create_task(asyncio.to_thread(fail))
        await asyncio.wait([task])
        del task
        logger.error("{}/notes of annapurna at annas-laptop: {} sk-planted-0123456789", home, KEY)
        for where in ("window", PROMPT):
            await call(
                app,
                "diagnostics.report_window_error",
                where=where,
                message=f"Uncaught TypeError: {said}",
                stack=stack,
            )
        await settled(app)
        shown = await kept(app)
        await sends(app, 6)

    assert PROMPT in str(shown)  # what the user sees of it on their own machine is theirs
    sent = b"".join(request.body for request in server.requests)
    assert 6 == len(events(server))
    for planted in (
        PROMPT,
        "doctor",
        "illness",
        KEY,
        "sk-planted",
        str(home),
        "annapurna",
        "annas-laptop",
        "elsewhere",
    ):
        assert planted.encode() not in sent, planted
    texts = [event["logentry"]["formatted"] for event in events(server)]
    assert "~/notes of [user] at [machine]: [key removed] [key removed]" in texts
    assert "asyncio: Exception in callback fail" in texts
    window = next(event for event in events(server) if event["tags"]["source"] == "window")
    [exception] = window["exception"]["values"]
    assert ("TypeError", "window: window_error") == (exception["type"], exception["value"])
    assert [
        {"filename": "assets/index-abc.js", "function": "Chat", "lineno": 1},
        {"filename": "assets/index-abc.js", "function": "rename", "lineno": 12},
    ] == exception["stacktrace"]["frames"]


async def test_it_goes_over_tls_and_through_the_proxy_as_everything_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with SmallInternet(tmp_path, ["sentry.example"]) as internet:
        use(internet, monkeypatch)
        internet.sites["sentry.example"].route(PATH, TAKEN)
        async with program(tmp_path, "https://publickey@sentry.example/7") as app:
            event_id = await app.error_reports.send_test()
            [row] = await sends(app)

    [event] = events(internet.sites["sentry.example"])
    assert (event_id, "info") == (event["event_id"], event["level"])
    assert ("sentry.example", False, "done") == (row.host, row.is_loopback, row.outcome)
    assert "127.0.0.1" == row.via
    assert ["sentry.example:443"] == internet.targets


# -- what does not work ---------------------------------------------------------------------------


async def test_offline_it_is_dropped_and_nobody_is_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    async def look_up(host: str, port: int) -> list[dialing.Address]:
        asked.append(host)
        return []

    monkeypatch.setattr(dialing, "look_up", look_up)
    async with program(tmp_path, "https://publickey@sentry.example/7") as app:
        await app.network.turn(True)
        fail_in_thread()
        await settled(app)
        with pytest.raises(Offline, match=r"sentry\.example"):
            await app.error_reports.send_test()
        rows = await sends(app, 2)
        await app.network.turn(False)
        fail_in_thread()
        await settled(app)

        assert 1 == len(await kept(app))

    assert ["refused", "refused"] == [row.outcome for row in rows]
    assert [] == asked


BAD_ANSWERS = {
    "a fault": (Reply(b"oops", 500, "text/plain"), "status 500: it has a fault"),
    "a bad key": (error_reply(403, {"detail": "no"}), "status 403: it does not know the key"),
    "another project": (error_reply(404, {}), "status 404: it has no such project"),
    "too much": (error_reply(429, {}, retry_after="soon"), "status 429: it takes no more"),
    "elsewhere": (Reply(b"", 302, headers={"location": "/login"}), "status 302: it leads elsewhere"),
    "a page": (Reply(b"\n<!doctype html>", 200, "text/html"), "a web page"),
    "nothing": (Reply(status=0), "did not answer as a Sentry server does"),
    "garbage": (Reply(b"\xff" * 50, 200, headers={"content-encoding": "gzip"}), "did not answer as a Sentry"),
    "half": (Reply(b"{" * 1000, cut_after=10), "did not answer as a Sentry server does"),
}


@pytest.mark.parametrize("bad", BAD_ANSWERS)
async def test_a_server_that_fails_is_told_to_who_tests_it_and_disturbs_nobody(
    tmp_path: Path, server: ProviderServer, bad: str
) -> None:
    reply, words = BAD_ANSWERS[bad]
    server.route(PATH, reply)

    async with program(tmp_path, dsn_of(server)) as app:
        fail_in_thread()
        await settled(app)
        [row] = await kept(app)
        with pytest.raises(ReportFailed) as told:
            await app.error_reports.send_test()
        fail_in_thread()
        await settled(app)
        rows = await kept(app)

    assert words in told.value.message
    assert told.value.hint
    assert "thread" == row.source
    assert [2] == [row.count for row in rows]
    assert 2 == len(server.requests)


async def test_nobody_there_and_nobody_who_answers(
    tmp_path: Path, server: ProviderServer, unused_tcp_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with program(tmp_path, f"http://publickey@127.0.0.1:{unused_tcp_port}/7") as app:
        with pytest.raises(ReportFailed, match="Could not connect"):
            await app.error_reports.send_test()

        monkeypatch.setattr(error_reports, "LIMIT_S", 0.05)
        server.route(PATH, Reply(is_silent=True, hang_after=0))
        await app.settings.change({"sentry_dsn": dsn_of(server)})
        with pytest.raises(ReportFailed, match=r"did not answer in 0\.05 s"):
            await app.error_reports.send_test()


async def test_the_end_of_the_program_does_not_wait_for_a_server(
    tmp_path: Path, server: ProviderServer
) -> None:
    server.route(PATH, Reply(is_silent=True, hang_after=0))
    async with program(tmp_path, dsn_of(server)) as app:
        fail_in_thread()
        await asyncio.to_thread(server.wait_until_asked)
        reports = app.error_reports

    async with asyncio.timeout(5):  # of ten that the server has
        await reports.finish()


async def test_a_server_that_wants_no_more_is_left_alone_for_as_long_as_it_says(
    tmp_path: Path, server: ProviderServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    now_s = 1000.0
    monkeypatch.setattr(error_reports.time, "monotonic", lambda: now_s)
    server.route(PATH, error_reply(429, {}, retry_after="120"))
    async with program(tmp_path, dsn_of(server)) as app:
        counts = []
        for kind, passed_s in (("first", 0.0), ("second", 119.0), ("third", 2.0)):
            now_s += passed_s
            logger.error("the {} kind", kind)
            await settled(app)
            counts.append(len(server.requests))

    assert [1, 1, 2] == counts


async def test_there_is_an_end_to_what_is_sent(
    tmp_path: Path, server: ProviderServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(error_reports, "MOST_REPORTED", 3)
    async with program(tmp_path, dsn_of(server)) as app:
        for number in range(5):
            logger.error("the kind number {}", number)
            await settled(app)

        assert 5 == len(await kept(app))

    assert 3 == len(server.requests)


async def test_a_fault_of_the_reporting_is_kept_and_not_reported(
    tmp_path: Path, server: ProviderServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sentry, "event_of", lambda row: fail())
    async with program(tmp_path, dsn_of(server)) as app:
        logger.error("the first")
        await settled(app)
        await settled(app)
        logger.error("the second")
        await settled(app)
        await settled(app)
        rows = await kept(app)

    assert {"program": 2, "reports": 1} == {
        source: sum(row.source == source for row in rows) for source in ("program", "reports")
    }
    assert [2] == [row.count for row in rows if row.source == "reports"]
    assert [] == server.requests


# -- the setting ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("dsn", "words"),
    [
        ("sentry.example", "not the DSN"),
        ("https://sentry.example/7", "not the DSN"),
        ("https://key@sentry.example", "not the DSN"),
        ("https://key@sentry.example/7?x=1", "not the DSN"),
        ("https://key@sentry.example/7\n", "not the DSN"),
        ("https://key@sentry.example:99999/7", "not the DSN"),
        ("https://k ey@sentry.example/7", "not the DSN"),
        ("https://key@/7", "not the DSN"),
        ("ftp://key@sentry.example/7", "not the DSN"),
        ("https://key:secret@sentry.example/7", "holds a secret key"),
        ("http://key@sentry.example/7", "sentry.example unencrypted"),
        ("http://key@127.0.0.1.example/7", "unencrypted"),
    ],
)
async def test_a_bad_dsn_is_refused_with_words(tmp_path: Path, dsn: str, words: str) -> None:
    async with program(tmp_path) as app:
        failed = await call(app, "settings.change", sentry_dsn=dsn)

        assert "bad_setting" == failed.code
        assert words in failed.message
        assert failed.hint
        assert "" == app.settings.current.sentry_dsn


@pytest.mark.parametrize(
    ("dsn", "endpoint"),
    [
        ("https://abc@o1.ingest.sentry.io/42", "https://o1.ingest.sentry.io/api/42/envelope/"),
        (
            "https://a-b@Sentry.Example:8443/sub/path/42/",
            "https://sentry.example:8443/sub/path/api/42/envelope/",
        ),
        ("http://abc@localhost:8000/1", "http://localhost:8000/api/1/envelope/"),
        ("http://abc@[::1]:8000/1", "http://[::1]:8000/api/1/envelope/"),
    ],
)
async def test_a_dsn_leads_to_its_projects_envelopes(tmp_path: Path, dsn: str, endpoint: str) -> None:
    async with program(tmp_path) as app:
        await call(app, "settings.change", sentry_dsn=dsn)
        stored = app.settings.current.sentry_dsn

    assert dsn == stored
    assert endpoint == sentry.read_dsn(stored).endpoint


async def test_a_stored_dsn_that_is_none_sends_nothing_and_says_so(tmp_path: Path) -> None:
    async with program(tmp_path) as app:
        from deskside.backend.store import settings as rows

        await app.store.write(rows.save, {"sentry_dsn": "https://nobody"})
    async with program(tmp_path) as app:
        fail_in_thread()
        await settled(app)
        with pytest.raises(AppError, match="not the DSN"):
            await app.error_reports.send_test()

        assert ["thread"] == [row.source for row in await kept(app)]
