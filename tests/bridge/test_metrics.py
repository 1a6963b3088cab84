"""What Deskside tells of itself: samples of the machine, their history, and how long everything took."""

from __future__ import annotations

import asyncio
import json
import os
import stat
import sys
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

import httpx2
import psutil
import pytest
from page_client import Page, reply
from prometheus_client.parser import text_string_to_metric_families

from deskside.backend.agent import provider_calls
from deskside.backend.app import App, open_app
from deskside.backend.metrics.power import saves_power
from deskside.backend.metrics.sampler import Sampler
from deskside.backend.metrics.samples import BUCKET_MS, SERIES, Bucket, Range, Sample, encode
from deskside.backend.settings import Server as ModelServer
from deskside.backend.store import metric_buckets
from deskside.backend.store.text import now_ms
from deskside.bridge.desktop import NoDesktop
from deskside.bridge.prometheus import kept_token
from deskside.bridge.server import Server
from provider_server import ProviderServer, Reply, ToolCall, chat_stream, error_reply
from stores import paths_in, rows

MODEL = "local/local-model"
TOKEN = "t" * 43
DAY_MS = 24 * 3_600_000


@asynccontextmanager
async def opened(folder: Path, web: Path, token: str | None = None) -> AsyncIterator[Page]:
    async with open_app(paths_in(folder)) as app:
        server = Server(app, NoDesktop(), web, metrics_token=token)
        await server.start()
        try:
            async with httpx2.AsyncClient(base_url=server.origin, trust_env=False) as http:
                await http.get(server.boot_url())
                yield Page(server, http, app.events, app.store, app)
        finally:
            await server.stop()


@pytest.fixture
async def program(tmp_path: Path, web: Path) -> AsyncIterator[Page]:
    async with opened(tmp_path, web) as page:
        yield page


class Watcher:
    """A page that shows Diagnostics."""

    def __init__(self, socket: Any) -> None:
        self._socket = socket
        self.samples: list[dict[str, Any]] = []
        self.timings: dict[str, Any] = {}

    async def until(self, is_true: Callable[[], Any]) -> None:
        while not is_true():
            frame = await reply(self._socket, 1)
            assert "next" == frame["t"], frame
            self.samples += frame["data"]["samples"]
            self.timings = frame["data"]["timings"]

    async def stop(self) -> None:
        await self._socket.send('{"t":"cancel","id":1}')
        while (await reply(self._socket, 1))["t"] == "next":
            pass


@asynccontextmanager
async def watching(page: Page) -> AsyncIterator[Watcher]:
    async with page.socket() as socket:
        await socket.send('{"t":"call","id":1,"cmd":"diagnostics.metrics"}')
        yield Watcher(socket)


async def timings(page: Page) -> Any:
    return (await page.rpc("diagnostics.timings"))["data"]


def by_name(found: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return {row["name"]: row for row in found}


# -- samples -------------------------------------------------------------------------------------


async def test_whoever_looks_gets_a_sample_every_second_with_everything_in_it(program: Page) -> None:
    # Unwatched, the third would come after more than a minute.
    async with watching(program) as watcher, asyncio.timeout(30):
        await watcher.until(lambda: len(watcher.samples) >= 3)

    last = watcher.samples[-1]
    assert [] == [name for name in SERIES if last[name] is None]
    assert 0 < last["memory_bytes"] < psutil.virtual_memory().total
    assert 0 <= last["cpu_percent"] <= last["machine_cpu_percent"] + 100
    assert last["threads"] > last["processes"] >= 1
    assert 0 < last["sampler_ms"]


@pytest.mark.parametrize("says_so", [True, False], ids=["leaves", "is gone"])
async def test_samples_are_rare_again_once_nobody_looks(program: Page, says_so: bool) -> None:
    sampler = program.app.metrics.sampler
    async with watching(program) as one:
        async with watching(program) as other:
            await other.until(lambda: other.timings)
            if says_so:
                await other.stop()
        await one.until(lambda: one.timings)
        assert sampler.is_watched
    async with asyncio.timeout(30):
        while sampler.is_watched:
            await asyncio.sleep(0.01)  # there is no event for "the socket's end has been noticed"


async def test_what_was_sampled_before_is_shown_at_once_to_the_next_who_looks(program: Page) -> None:
    async with watching(program) as first:
        await first.until(lambda: len(first.samples) >= 2)
        await first.stop()
    async with watching(program) as second:
        await second.until(lambda: second.timings)

    assert first.samples == second.samples[: len(first.samples)]


async def test_processes_that_we_start_are_ours_and_what_one_used_stays_ours_when_it_ends(
    program: Page,
) -> None:
    work = "import sys\nfor n in range(3_000_000): pass\nprint('done', flush=True)\nsys.stdin.read()"
    async with watching(program) as watcher:
        await watcher.until(lambda: watcher.samples)
        alone = watcher.samples[-1]["processes"]
        child = await asyncio.create_subprocess_exec(
            sys.executable, "-c", work, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
        )
        assert child.stdout is not None
        await child.stdout.readline()
        used_s = sum(psutil.Process(child.pid).cpu_times()[:2])
        await watcher.until(lambda: watcher.samples[-1]["processes"] == alone + 1)
        with_it = program.app.metrics.totals.cpu_s
        child.kill()
        await child.wait()
        await watcher.until(lambda: watcher.samples[-1]["processes"] == alone)

    assert with_it >= used_s > 0
    assert program.app.metrics.totals.cpu_s >= with_it


async def test_what_the_system_denies_is_a_gap_and_the_sampler_goes_on(
    program: Page, monkeypatch: pytest.MonkeyPatch
) -> None:
    def denied(*_: Any) -> None:
        raise psutil.AccessDenied(os.getpid())

    def broken(*_: Any) -> None:
        raise OSError("the disk is gone")

    monkeypatch.setattr(psutil.Process, "num_handles" if os.name == "nt" else "num_fds", denied)
    monkeypatch.setattr(psutil, "disk_usage", broken)
    monkeypatch.setattr(psutil, "disk_io_counters", lambda: None)  # as a container without disks answers
    async with watching(program) as watcher:
        await watcher.until(lambda: len(watcher.samples) >= 2)

    last = watcher.samples[-1]
    assert (None, None, None) == (
        last["open_files"],
        last["disk_free_bytes"],
        last["machine_written_bytes_per_s"],
    )
    assert last["memory_bytes"] > 0


async def test_a_paused_sampler_takes_no_samples_but_for_who_looks(program: Page) -> None:
    program.app.metrics.sampler.pause(True)
    async with watching(program) as watcher:
        await watcher.until(lambda: len(watcher.samples) >= 2)
        await watcher.stop()
    taken = len(program.app.metrics.samples)
    program.app.metrics.sampler.pause(False)
    async with watching(program) as watcher:
        await watcher.until(lambda: len(watcher.samples) > taken)


async def test_a_machine_that_saves_power_takes_no_samples_but_for_who_looks(tmp_path: Path) -> None:
    asked, taken = threading.Event(), threading.Event()

    def saves_power() -> bool:
        asked.set()
        return True

    sampler = Sampler(tmp_path, lambda *_: taken.set(), saves_power, usual_s=0.01, first_s=0.0)
    sampler.start()
    try:
        assert await asyncio.to_thread(asked.wait, 20)
        asked.clear()
        assert await asyncio.to_thread(asked.wait, 20)  # it goes on asking
        assert not taken.is_set()
        sampler.watch(1)
        assert await asyncio.to_thread(taken.wait, 20)
    finally:
        await asyncio.to_thread(sampler.close)


class Battery(NamedTuple):
    percent: float
    power_plugged: bool | None


@pytest.mark.parametrize(
    ("battery", "profile", "saves"),
    [
        (None, "low-power", False),
        (Battery(10, True), "low-power", False),
        (Battery(10, None), "low-power", False),
        (Battery(90, False), "balanced", False),
        (Battery(90, False), None, False),
        (Battery(90, False), "low-power", True),
        (Battery(20, False), "balanced", True),
    ],
)
def test_power_is_saved_on_a_battery_that_is_low_or_set_to_it(
    tmp_path: Path, battery: Battery | None, profile: str | None, saves: bool
) -> None:
    file = tmp_path / "platform_profile"
    if profile is not None:
        file.write_text(f"{profile}\n")
    machine = SimpleNamespace(sensors_battery=lambda: battery, Error=psutil.Error)

    assert saves == saves_power(machine, file)


def test_a_driver_that_answers_nonsense_saves_no_power(tmp_path: Path) -> None:
    def broken() -> None:
        raise OSError("no such device")

    assert not saves_power(SimpleNamespace(sensors_battery=broken, Error=psutil.Error), tmp_path)
    assert not saves_power(SimpleNamespace(Error=psutil.Error), tmp_path)  # as on systems without it


# -- history -------------------------------------------------------------------------------------


def sample(at_ms: int, **values: Any) -> Sample:
    return Sample(at_ms, **values)


async def test_the_history_is_there_after_a_restart_with_the_minutes_of_both(
    tmp_path: Path, web: Path
) -> None:
    async with opened(tmp_path, web) as page, watching(page) as watcher:
        await watcher.until(lambda: len(watcher.samples) >= 2)
    first = watcher.samples
    async with opened(tmp_path, web) as page:
        async with watching(page) as watcher:
            await watcher.until(lambda: len(watcher.samples) >= 2)
        second = watcher.samples
    async with opened(tmp_path, web) as page:
        history = (await page.rpc("diagnostics.history", '{"hours": 1}'))["data"]

    count = sum(bucket["series"]["memory_bytes"]["count"] for bucket in history)
    assert count >= len(first) + len(second)
    assert all(bucket["at_ms"] % BUCKET_MS == 0 for bucket in history)
    lowest = min(each["memory_bytes"] for each in first + second)
    assert min(bucket["series"]["memory_bytes"]["min"] for bucket in history) <= lowest * 1.001


async def test_a_bucket_holds_the_least_the_mean_and_the_most_without_the_gaps(program: Page) -> None:
    begin = now_ms() // BUCKET_MS * BUCKET_MS
    values = [sample(begin, threads=4), sample(begin + 1), sample(begin + 2, threads=9)]
    await program.store.write(metric_buckets.add, Bucket.of(begin, values))
    await program.store.write(metric_buckets.add, Bucket.of(begin, [sample(begin + 3, threads=2)]))
    (bucket,) = (await program.rpc("diagnostics.history", '{"hours": 1}'))["data"]

    assert {"threads": {"min": 2, "mean": 5, "max": 9, "count": 3}} == bucket["series"]


async def test_what_is_older_than_30_days_goes(program: Page) -> None:
    now = now_ms() // BUCKET_MS * BUCKET_MS
    for age_ms in (31 * DAY_MS, 29 * DAY_MS, 0):
        await program.store.write(metric_buckets.add, Bucket(now - age_ms, {"threads": Range(1, 1, 1, 1)}))

    kept = rows(program.store.path, "select at_ms from metric_bucket order by at_ms")
    assert [(now - 29 * DAY_MS,), (now,)] == kept


async def test_a_month_of_history_is_few_bytes_and_comes_as_few_points(program: Page) -> None:
    now = now_ms() // BUCKET_MS * BUCKET_MS
    count = 30 * DAY_MS // BUCKET_MS
    series = {name: Range(1234.5678, 2345.6789, 3456.7891, 10) for name in SERIES}

    def fill(db: Any) -> None:
        encoded = encode(series)
        db.sql.executemany(
            "insert into metric_bucket values (?, ?)",
            [(now - n * BUCKET_MS, encoded) for n in range(count)],
        )

    await program.store.write(fill)
    month = (await program.rpc("diagnostics.history", '{"hours": 720}'))["data"]
    ((size,),) = rows(program.store.path, "select sum(length(data)) from metric_bucket")

    assert 250 < len(month) <= 290
    assert sorted(each["at_ms"] for each in month) == [each["at_ms"] for each in month]
    assert 2346 == month[10]["series"]["threads"]["mean"]
    assert size / count < 500


async def test_figures_that_cannot_be_stored_are_given_up_and_shown_all_the_same(
    tmp_path: Path, web: Path
) -> None:
    async with opened(tmp_path, web) as page, watching(page) as watcher:
        (tmp_path / "data" / "deskside.db").rename(tmp_path / "data" / "elsewhere.db")
        await watcher.until(lambda: len(watcher.samples) >= 2)

    assert watcher.samples[-1]["threads"] > 0


# -- how long everything took --------------------------------------------------------------------


@pytest.fixture
def provider() -> Any:
    with ProviderServer() as server:
        yield server


async def asked(page: Page, provider: ProviderServer, question: str = "What is it?") -> str:
    """The status of the answer to a question."""
    app: App = page.app
    await app.settings.change({"servers": [ModelServer("local", "My server", provider.openai_url)]})
    started = (await page.rpc("runs.start", json.dumps({"text": question, "model": MODEL})))["data"]
    message_id = started["reply"]["id"]
    status = "streaming"
    async with asyncio.timeout(30):
        while status == "streaming":
            after = app.events.last
            found = rows(page.store.path, "select status from message where id = ?", message_id)
            status = str(found[0][0])
            if status == "streaming":
                await app.events.wait_beyond(after)
    return status


async def test_a_run_shows_in_the_timings_of_everything_that_took_part(
    program: Page, provider: ProviderServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        provider_calls, "LEAST_SPOKEN_S", 0.0
    )  # how soon pieces are read, is not for us to say
    provider.script(
        Reply(b"".join(chat_stream([], ToolCall("c1", "calculate", '{"expression": "6*7"}')))),
        Reply(b"".join(chat_stream([f"word{n} " for n in range(40)])), piece_bytes=0, delay_s=0.005),
    )
    assert "complete" == await asked(program, provider)
    found = await timings(program)

    commands = by_name(found["commands"])
    assert 1 == commands["runs.start"]["count"]
    assert {} == commands["runs.start"]["failures"]
    (local,) = found["providers"]
    assert ("local", 2, {}) == (local["provider"], local["calls"]["count"], local["calls"]["failures"])
    assert 2 == local["head"]["count"] == local["first"]["count"] == local["whole"]["count"]
    assert local["head"]["max_ms"] <= local["first"]["max_ms"] <= local["whole"]["max_ms"]
    assert local["whole"]["max_ms"] >= 40 * 5  # what the server took at least
    assert 40 == local["output_tokens"]
    assert local["tokens_per_s"] > 0
    (tool,) = found["tools"]
    assert ("calculate", 1, {}) == (tool["name"], tool["count"], tool["failures"])
    functions = by_name([row["run"] for row in found["store"]])
    queues = by_name([row["queue"] for row in found["store"]])
    assert 1 == functions["replies.ask"]["count"] == queues["replies.ask"]["count"]
    assert 0 < functions["replies.ask"]["p50_ms"] <= functions["replies.ask"]["max_ms"]


@pytest.mark.parametrize(
    ("answers", "code"),
    [
        ([error_reply(401, {"error": {"message": "no such key"}})], "bad_key"),
        ([Reply(b"".join(chat_stream(["half"])), cut_after=30)] * 4, "stream_dropped"),
        ([Reply(b"data: {]\n\n")] * 4, "stream_garbled"),
    ],
)
async def test_a_provider_that_fails_is_counted_under_the_error_that_the_user_sees(
    program: Page, provider: ProviderServer, answers: list[Reply], code: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("deskside.backend.agent.loop.FIRST_WAIT_S", 0.001)
    provider.script(*answers)
    assert "failed" == await asked(program, provider)
    (local,) = (await timings(program))["providers"]

    assert {code: len(answers)} == local["calls"]["failures"]
    assert len(answers) == local["calls"]["count"]
    assert local["whole"] is None


async def test_an_answer_that_the_user_stops_is_counted_as_stopped(
    program: Page, provider: ProviderServer
) -> None:
    provider.script(Reply(b"".join(chat_stream(["one ", "two "])), hang_after=200))
    asking = asyncio.create_task(asked(program, provider))
    await asyncio.to_thread(provider.wait_until_asked)
    ((message_id,),) = rows(program.store.path, "select id from message where role = 'assistant'")
    await program.rpc("runs.stop", json.dumps({"message_id": message_id}))
    await asking
    (local,) = (await timings(program))["providers"]

    assert {"stopped": 1} == local["calls"]["failures"]


async def test_an_answer_that_comes_at_once_says_nothing_of_how_fast_its_model_is(
    program: Page, provider: ProviderServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(provider_calls, "LEAST_SPOKEN_S", 1000.0)
    provider.script(Reply(b"".join(chat_stream(["all ", "at ", "once"]))))
    await asked(program, provider)
    (local,) = (await timings(program))["providers"]

    assert (0, None) == (local["output_tokens"], local["tokens_per_s"])


async def test_a_tool_that_fails_is_counted(program: Page, provider: ProviderServer) -> None:
    provider.script(
        Reply(b"".join(chat_stream([], ToolCall("c1", "calculate", '{"expression": "1/0"}')))),
        Reply(b"".join(chat_stream(["cannot be done"]))),
    )
    await asked(program, provider)

    (tool,) = (await timings(program))["tools"]
    assert {"failed": 1} == tool["failures"]


async def test_percentiles_are_off_by_a_fifth_at_most(program: Page) -> None:
    for n in range(1, 101):
        program.server.timings.observe("made.up", n / 1000)
    program.server.timings.observe("made.once", 0.0037)
    found = by_name((await timings(program))["commands"])
    row, once = found["made.up"], found["made.once"]

    assert (100, 100.0) == (row["count"], row["max_ms"])
    assert 50.5 == pytest.approx(row["mean_ms"])
    assert 50 == pytest.approx(row["p50_ms"], rel=0.2)
    assert 95 == pytest.approx(row["p95_ms"], rel=0.2)
    assert 3.7 == once["p50_ms"] == once["p95_ms"] == once["max_ms"]


async def test_names_beyond_the_first_250_share_one(program: Page) -> None:
    for n in range(1000):
        program.server.timings.observe(f"made.up_{n}", 0.001, "odd" if n == 999 else "")
    found = by_name((await timings(program))["commands"])

    assert 251 == len(found)
    assert (1000 - 250, {"odd": 1}) == (found["(others)"]["count"], found["(others)"]["failures"])


# -- Prometheus ----------------------------------------------------------------------------------


async def scraped(page: Page, token: str | None = TOKEN, **headers: str) -> httpx2.Response:
    """As Prometheus asks: with no cookie, and the token as `authorization` sends it."""
    if token is not None:
        headers["authorization"] = f"Bearer {token}"
    async with httpx2.AsyncClient(trust_env=False) as http:
        return await http.get(f"{page.server.origin}/metrics", headers=headers)


def families(text: str) -> dict[str, Any]:
    """As the official parser reads them."""
    return {family.name: family for family in text_string_to_metric_families(text)}


async def test_prometheus_reads_what_the_page_shows(
    tmp_path: Path, web: Path, provider: ProviderServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(provider_calls, "LEAST_SPOKEN_S", 0.0)
    async with opened(tmp_path, web, TOKEN) as page:
        provider.script(
            Reply(b"".join(chat_stream([], ToolCall("c1", "calculate", '{"expression": "1/0"}')))),
            Reply(b"".join(chat_stream(["cannot ", "be ", "done "] * 10)), piece_bytes=0, delay_s=0.005),
        )
        async with watching(page) as watcher:
            await asked(page, provider)
            await watcher.until(lambda: len(watcher.samples) >= 2)
        shown = await timings(page)
        answer = await scraped(page)
        last = page.app.metrics.last

    assert 200 == answer.status_code
    assert "text/plain; version=0.0.4; charset=utf-8" == answer.headers["content-type"]
    found = families(answer.text)
    assert last is not None
    (memory,) = found["deskside_process_resident_memory_bytes"].samples
    assert last.memory_bytes == memory.value
    assert "gauge" == found["deskside_process_resident_memory_bytes"].type
    assert "counter" == found["deskside_process_cpu_seconds"].type
    assert "histogram" == found["deskside_command_seconds"].type
    for name, label, expected in (
        ("command", "command", shown["commands"]),
        ("tool", "tool", shown["tools"]),
        ("store_function", "function", [row["run"] for row in shown["store"]]),
        ("provider_call", "provider", [row["calls"] for row in shown["providers"]]),
        ("provider_answer", "provider", [row["whole"] for row in shown["providers"]]),
    ):
        check_histogram(found[f"deskside_{name}_seconds"], label, expected)
    (failure,) = found["deskside_tool_failures"].samples
    assert ({"tool": "calculate", "code": "failed"}, 1.0) == (failure.labels, failure.value)
    (spoken,) = found["deskside_provider_output_tokens"].samples
    assert shown["providers"][0]["output_tokens"] == spoken.value


def check_histogram(family: Any, label: str, expected: list[dict[str, Any]]) -> None:
    """Buckets rise to +Inf, which is the count."""
    found: dict[str, list[float]] = {}
    last: dict[str, str] = {}
    counts = {}
    for each in family.samples:
        if each.name.endswith("_bucket"):
            found.setdefault(each.labels[label], []).append(each.value)
            last[each.labels[label]] = each.labels["le"]
        elif each.name.endswith("_count"):
            counts[each.labels[label]] = each.value
    assert {"+Inf"} == set(last.values())
    for name, values in found.items():
        assert sorted(values) == values
        assert values[-1] == counts[name]
    assert expected
    for row in expected:
        assert row["count"] <= counts[row["name"]] <= row["count"] + 3  # the look itself is counted too


async def test_a_name_with_quotes_backslashes_and_lines_is_escaped(tmp_path: Path, web: Path) -> None:
    name = 'a "tool"\\of\nmine é'
    async with opened(tmp_path, web, TOKEN) as page:
        page.app.metrics.tools.observe(name, 0.5, "failed")
        found = families((await scraped(page)).text)

    assert {name} == {each.labels["tool"] for each in found["deskside_tool_seconds"].samples}
    assert {name} == {each.labels["tool"] for each in found["deskside_tool_failures"].samples}


@pytest.mark.parametrize("token", [None, "x" * 43, TOKEN[:-1], f"{TOKEN}t"])
async def test_without_the_token_there_are_no_metrics(tmp_path: Path, web: Path, token: str | None) -> None:
    async with opened(tmp_path, web, TOKEN) as page:
        answer = await scraped(page, token)

    assert 403 == answer.status_code


@pytest.mark.parametrize(
    "headers",
    [{"host": "evil.example"}, {"origin": "https://evil.example"}, {"sec-fetch-site": "cross-site"}],
)
async def test_the_token_does_not_help_a_page_of_somebody_else(
    tmp_path: Path, web: Path, headers: dict[str, str]
) -> None:
    async with opened(tmp_path, web, TOKEN) as page:
        assert 403 == (await scraped(page, **headers)).status_code


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "/"), ("POST", "/metrics"), ("POST", "/rpc/diagnostics.timings"), ("GET", "/metrics/")],
)
async def test_the_token_opens_nothing_else(tmp_path: Path, web: Path, method: str, path: str) -> None:
    async with opened(tmp_path, web, TOKEN) as page, httpx2.AsyncClient(trust_env=False) as http:
        answer = await http.request(
            method,
            page.server.origin + path,
            headers={"authorization": f"Bearer {TOKEN}", "origin": page.server.origin},
        )

    assert 403 == answer.status_code


async def test_the_page_itself_may_read_them_too(tmp_path: Path, web: Path) -> None:
    async with opened(tmp_path, web, TOKEN) as page:
        assert 200 == (await page.http.get("/metrics")).status_code


async def test_metrics_are_off_by_default(program: Page) -> None:
    assert 403 == (await scraped(program)).status_code
    assert 404 == (await program.http.get("/metrics")).status_code


def test_the_token_stays_the_same_and_only_the_user_can_read_it(tmp_path: Path) -> None:
    file = tmp_path / "new" / "metrics-token"
    first = kept_token(file)

    assert first == kept_token(file)
    assert len(first) >= 43
    if os.name == "posix":
        assert 0o600 == stat.S_IMODE(file.stat().st_mode)
    file.write_text("short")
    assert kept_token(file) not in ("short", first)
