"""The gate and the ledger: nothing passes unseen, and nothing passes a gate that is closed.

What is elsewhere has names here that lead to servers of the test. The interpreter itself reports each
connect.
"""

from __future__ import annotations

import asyncio
import gc
import json
import socket
import ssl
import sys
import warnings
from base64 import b64encode
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from types import FrameType, SimpleNamespace
from typing import Any, cast

import pytest
from device_parts import bundled_model
from test_runs import ended, until
from web_parts import ANY_PORT

from deskside.backend.agent.catalog import find_servers
from deskside.backend.agent.device_models import SMOLLM2
from deskside.backend.agent.device_process import DeviceProcess
from deskside.backend.agent.http1 import Head, Origin, Pool
from deskside.backend.agent.scripted_model import ScriptedModel
from deskside.backend.agent.transport import Http
from deskside.backend.app import App, open_app
from deskside.backend.errors import AppError, Offline
from deskside.backend.events import NetworkChanged, SettingsChanged, TextAppended
from deskside.backend.log import request_id
from deskside.backend.mcp.proposal import Proposal
from deskside.backend.network import dialing
from deskside.backend.network.gate import Gate, Use
from deskside.backend.network.http import Client
from deskside.backend.network.purpose import purpose
from deskside.backend.network.relay import open_relay
from deskside.backend.paths import Paths
from deskside.backend.settings import Server
from deskside.backend.store import network
from deskside.backend.store.messages import TextPart
from deskside.backend.store.network import NetworkRow
from deskside.backend.tools.context import ToolContext
from deskside.backend.tools.declaration import FunctionTool
from deskside.backend.tools.web import Web
from deskside.backend.tools.web_engines import ask_engine
from deskside.backend.tools.web_fetch import web_fetch
from deskside.backend.tools.web_search import web_search
from mcp_parts import hostile, open_desk, say_yes, tool
from provider_server import ProviderServer, Reply, recording
from small_internet import SmallInternet

ELSEWHERE = "provider.example"
MODEL = "openai/gpt-5"


# -- what each connect looks like from outside of the gate -----------------------------------------


class Connects:
    """Every connect of this process while it looks: where to, and whether the gate's way led there."""

    def __init__(self) -> None:
        self.is_looking = False
        self.seen: list[tuple[Any, bool]] = []

    def hear(self, event: str, arguments: tuple[Any, ...]) -> None:
        if self.is_looking and event == "socket.connect" and isinstance(arguments[1], tuple):
            self.seen.append((arguments[1][:2], _leads_through_the_gate(sys._getframe(1))))


def _leads_through_the_gate(frame: FrameType | None) -> bool:
    while frame is not None:
        if frame.f_code is dialing._connected.__code__:
            return True
        frame = frame.f_back
    return False


CONNECTS = Connects()
sys.addaudithook(CONNECTS.hear)


@pytest.fixture
def connects() -> Iterator[Connects]:
    CONNECTS.seen, CONNECTS.is_looking = [], True
    yield CONNECTS
    CONNECTS.is_looking = False


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Every name under .example leads to this machine. Gives the names that were looked up."""
    asked: list[str] = []

    async def look_up(host: str, port: int) -> list[dialing.Address]:
        if host.endswith(".example"):
            asked.append(host)
            host = "127.0.0.1"
        return await look_up_really(host, port)

    look_up_really = dialing.look_up
    monkeypatch.setattr(dialing, "look_up", look_up)
    monkeypatch.setattr("deskside.backend.network.gate.look_up", look_up)
    return asked


# -- the program ----------------------------------------------------------------------------------


@pytest.fixture
def provider() -> Iterator[ProviderServer]:
    with ProviderServer() as server:
        yield server


@asynccontextmanager
async def opened(folder: Path, provider: ProviderServer, **options: Any) -> AsyncIterator[App]:
    paths = Paths(folder / "data", folder / "logs", folder / "cache")
    async with open_app(paths, {"scripted/model": ScriptedModel(["Hello."])}, **options) as app:
        url = f"http://{ELSEWHERE}:{provider.port}/v1"
        await app.settings.change({"openai_base_url": url, "anthropic_base_url": url.removesuffix("/v1")})
        yield app


@pytest.fixture
async def app(
    tmp_path: Path, provider: ProviderServer, names: list[str], monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[App]:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-test")
    async with opened(tmp_path, provider) as app:
        yield app


async def rows(app: App, holds: Callable[[list[NetworkRow]], bool], **filters: Any) -> list[NetworkRow]:
    """The ledger's rows once they are as wanted, newest first."""
    options: dict[str, Any] = {"before": None, "limit": 500, "host": "", "purpose": "", "with_loopback": True}
    async with asyncio.timeout(10):
        while True:
            number = app.events.last
            found = await app.store.read(network.page, *(options | filters).values())
            if holds(found):
                return found
            await app.events.wait_beyond(number)


async def asked(app: App, text: str = "hi", model: str = MODEL) -> int:
    return (await app.runs.start(None, text, model)).reply.id


def are_over(found: list[NetworkRow]) -> bool:
    return bool(found) and all(row.outcome for row in found)


# -- the ledger -----------------------------------------------------------------------------------


async def test_a_model_call_is_in_the_ledger_with_its_purpose_and_its_request(
    app: App, provider: ProviderServer
) -> None:
    token = request_id.set("feedfacecafe")
    reply = await ended(app, await asked(app))
    request_id.reset(token)

    [row] = await rows(app, are_over, purpose="model_call")
    assert "complete" == reply.status
    assert (ELSEWHERE, provider.port, False, "") == (row.host, row.port, row.is_loopback, row.via)
    assert ("openai/gpt-5", "feedfacecafe", "done") == (row.subject, row.request_id, row.outcome)
    assert row.sent_bytes > len(provider.requests[-1].body)
    assert row.received_bytes > 0
    assert row.duration_ms is not None


async def test_a_line_that_is_used_twice_is_two_rows(app: App, provider: ProviderServer) -> None:
    await ended(app, await asked(app))
    await ended(app, await asked(app, "again"))

    found = await rows(app, lambda found: len(found) == 2 and are_over(found), purpose="model_call")

    assert 1 == provider.connections
    assert all(row.sent_bytes > 0 and row.received_bytes > 0 for row in found)


async def test_what_is_not_reached_is_told_as_well(app: App, unused_tcp_port: int) -> None:
    await app.settings.change({"openai_base_url": f"http://nobody.example:{unused_tcp_port}/v1"})

    shown = await app.models.available(refresh=True)

    assert any("nobody.example" in entry.problem for entry in shown)
    [row] = await rows(app, are_over, host="nobody.example")
    assert ("model_list", "OpenAI", "failed", 0) == (row.purpose, row.subject, row.outcome, row.sent_bytes)


async def test_a_use_that_goes_on_is_there_with_what_has_passed(app: App, provider: ProviderServer) -> None:
    provider.script(recording("responses_text", hang_after=400))
    message = await asked(app)
    await until(app, lambda event: isinstance(event, NetworkChanged))

    [row] = app.ledger.live(await rows(app, lambda found: len(found) == 1, purpose="model_call"))
    assert ("", None) == (row.outcome, row.duration_ms)
    assert row.sent_bytes > 0

    await app.runs.stop(message)
    [row] = await rows(app, are_over, purpose="model_call")
    assert "stopped" == row.outcome


async def test_the_totals_are_the_sums_of_the_rows(app: App) -> None:
    for text in ("one", "two", "three"):
        await ended(app, await asked(app, text))
    await app.models.available(refresh=True)
    found = await rows(app, lambda found: len(found) >= 4, host=ELSEWHERE)
    await app.network.turn(True)
    await app.models.available(refresh=True)
    found = await rows(app, lambda now: len(now) > len(found) and are_over(now), host=ELSEWHERE)

    [total] = await app.store.read(network.totals, 0, False)

    assert ELSEWHERE == total.host
    assert len(found) == total.uses
    assert sum(row.outcome == "refused" for row in found) == total.refused > 0
    assert sum(row.sent_bytes for row in found) == total.sent_bytes
    assert sum(row.received_bytes for row in found) == total.received_bytes
    assert {"model_call", "model_list"} == set(total.purposes)


async def test_what_went_on_when_the_program_died_is_lost_and_old_rows_go(
    tmp_path: Path, provider: ProviderServer
) -> None:
    def row(at_ms: int, outcome: str) -> NetworkRow:
        return NetworkRow(None, at_ms, None, "a.example", 443, False, "", "web_fetch", "", "-", 1, 2, outcome)

    async with opened(tmp_path, provider) as app:
        await app.store.write(network.keep, [row(0, "done"), row(2**42, "")])
    async with opened(tmp_path, provider) as app:
        [left] = await app.store.read(network.page, None, 10, "a.example", "", True)

    assert "lost" == left.outcome


async def test_the_ledger_has_an_end(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(network, "ROWS_KEPT", 3)
    row = NetworkRow(None, 2**42, 1, "a.example", 443, False, "", "web_fetch", "", "-", 1, 2, "done")
    for _ in range(5):
        await app.store.write(network.keep, [row])

    assert 3 == len(await app.store.read(network.page, None, 10, "", "", True))


# -- bytes ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("way", ["pool", "client", "relay"])
async def test_the_bytes_are_those_that_the_other_side_saw(way: str) -> None:
    got, gave = bytearray(), b"HTTP/1.1 200 OK\r\ncontent-length: 5000\r\n\r\n" + b"x" * 5000

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while b"\r\n\r\n" not in got or not got.endswith(b"body"):
            got.extend(await reader.read(65536))
        writer.write(gave)
        await writer.drain()
        writer.close()

    uses: list[Use] = []
    gate = Gate(tell=uses.append)
    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server, asyncio.timeout(10):
        match way:
            case "pool":
                pool = Pool(ssl.create_default_context(), gate)
                head = Head(Origin(False, "127.0.0.1", port), b"POST / HTTP/1.1\r\nhost: x\r\n")
                async for _ in await pool.send(head, b"body", 5):
                    pass
                pool.close()
            case "client":
                async with Client(gate) as client:
                    await client.post(f"http://127.0.0.1:{port}/", content=b"body")
            case "relay":
                await _through_a_relay(gate, port)
        while uses[-1].outcome is None:
            await asyncio.sleep(0)

    assert (len(got), len(gave), "done") == (uses[-1].sent, uses[-1].received, uses[-1].outcome)
    assert len(set(uses)) == 1


async def _through_a_relay(gate: Gate, port: int) -> None:
    async with open_relay(gate, "127.0.0.1", port) as relay:
        login, _, place = relay.proxy_url.removeprefix("http://").partition("@")
        reader, writer = await asyncio.open_connection("127.0.0.1", int(place.rpartition(":")[2]))
        writer.write(
            f"CONNECT 127.0.0.1:{port} HTTP/1.1\r\n"
            f"Proxy-Authorization: Basic {b64encode(login.encode()).decode()}\r\n\r\n".encode()
        )
        assert b" 200 " in await reader.readuntil(b"\r\n\r\n")
        writer.write(b"GET / HTTP/1.1\r\n\r\nbody")
        await reader.read()
        writer.close()


async def test_a_relay_leads_nobody_else(unused_tcp_port: int) -> None:
    uses: list[Use] = []
    async with open_relay(Gate(tell=uses.append), "127.0.0.1", unused_tcp_port) as relay:
        port = int(relay.proxy_url.rpartition(":")[2])
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(f"CONNECT 127.0.0.1:{unused_tcp_port} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        assert b" 403 " in await reader.readuntil(b"\r\n\r\n")
        writer.close()

    assert [] == uses


async def test_each_purpose_on_a_kept_line_has_its_own_use() -> None:
    uses: list[Use] = []
    with ProviderServer() as server:
        async with Client(Gate(tell=uses.append)) as client:
            with purpose("model_list", "One"):
                await client.get(f"{server.openai_url}/models")
            with purpose("model_list", "Two"):
                await client.get(f"{server.openai_url}/models")
            # Without a word more the line is open, and its uses are over.
            assert all(use.outcome == "done" for use in uses)
        assert 1 == server.connections

    found = list(dict.fromkeys(uses))
    assert ["One", "Two"] == [use.purpose.subject for use in found]
    assert all(use.sent > 0 and use.received > 0 and use.outcome == "done" for use in found)


@pytest.mark.parametrize(
    ("ending", "outcome"),
    [
        ("read to its end", "done"),
        ("left in the middle", "stopped"),
        ("cancelled", "stopped"),
        ("cancelled before its head", "stopped"),
        ("broken off", "failed"),
        ("silent for too long", "failed"),
    ],
)
async def test_how_an_answer_ended_is_told(ending: str, outcome: str) -> None:
    asked, may_go_on = asyncio.Event(), asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        if ending != "cancelled before its head":
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf ")
        asked.set()
        if ending == "read to its end":
            writer.write(b"whole")
        elif ending != "broken off":
            await may_go_on.wait()
        writer.close()

    uses: list[Use] = []
    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
    got = asyncio.Event()

    async def get(client: Client) -> None:
        async with client.stream("GET", url) as response:
            async for _ in response.aiter_bytes():
                got.set()
                if ending == "left in the middle":
                    return

    async with server, asyncio.timeout(10):
        timeout_s = 0.1 if ending == "silent for too long" else None
        async with Client(Gate(tell=uses.append), timeout=timeout_s) as client:
            getting = asyncio.create_task(get(client))
            if ending.startswith("cancelled"):
                await (got if ending == "cancelled" else asked).wait()
                getting.cancel()
            await asyncio.wait([getting])
            # Not only when the client is closed.
            assert [outcome] == [use.outcome for use in dict.fromkeys(uses)]
        may_go_on.set()

    assert [outcome] == [use.outcome for use in dict.fromkeys(uses)]


# -- offline --------------------------------------------------------------------------------------


async def test_going_offline_ends_an_answer_and_keeps_what_was_said(
    app: App, provider: ProviderServer
) -> None:
    provider.script(recording("responses_text", hang_after=2900))
    message = await asked(app)
    await until(app, lambda event: isinstance(event, TextAppended))

    await app.network.turn(True)

    reply = await ended(app, message)
    said = "".join(part.text for part in reply.parts if isinstance(part, TextPart))
    assert "failed" == reply.status
    assert reply.error is not None
    assert ("went_offline", "Deskside went offline, which ended the connection to provider.example.") == (
        reply.error.code,
        reply.error.message,
    )
    assert said
    assert provider.requests[-1].gone.wait(10)
    [row] = await rows(app, are_over, purpose="model_call")
    assert "cut" == row.outcome


async def test_offline_nothing_is_dialled_nor_looked_up_and_online_it_works_again(
    app: App, provider: ProviderServer, names: list[str], connects: Connects
) -> None:
    await app.network.turn(True)

    reply = await ended(app, await asked(app))
    shown = await app.models.available(refresh=True)

    assert reply.error is not None
    assert "offline" == reply.error.code
    assert any(ELSEWHERE in entry.problem for entry in shown)
    assert [] == names
    assert [] == connects.seen
    assert {"refused"} == {row.outcome for row in await rows(app, are_over, host=ELSEWHERE)}

    await app.network.turn(False)
    assert "complete" == (await ended(app, await asked(app))).status


async def test_a_kept_line_is_not_used_again_offline(app: App, provider: ProviderServer) -> None:
    await ended(app, await asked(app))
    count = len(provider.requests)

    await app.network.turn(True)

    reply = await ended(app, await asked(app))
    assert reply.error is not None
    assert "offline" == reply.error.code
    assert count == len(provider.requests)


async def test_offline_a_server_on_this_machine_answers(app: App, provider: ProviderServer) -> None:
    await app.network.turn(True)
    await app.settings.change({"servers": [Server("local", "Here", provider.openai_url)]})

    assert "complete" == (await ended(app, await asked(app, model="local/local-model"))).status
    async with Http(Gate(is_closed=True)) as http:
        [found] = await find_servers(http, {"ollama": provider.port})
    assert provider.openai_url == found.base_url


async def test_offline_a_proxy_on_this_machine_leads_nowhere(
    tmp_path: Path, provider: ProviderServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    with SmallInternet(tmp_path, ["provider.example", "html.duckduckgo.com"]) as internet:
        monkeypatch.setenv("HTTPS_PROXY", internet.proxy_url("ada:s3cret"))
        monkeypatch.setenv("SSL_CERT_FILE", str(internet.authority.file))
        monkeypatch.setenv("OPENAI_API_KEY", "sk-test")
        async with opened(tmp_path, provider) as app:
            await app.settings.change({"openai_base_url": f"https://{ELSEWHERE}/v1"})
            await ended(app, await asked(app))
            [row] = await rows(app, lambda found: len(found) == 1, purpose="model_call")
            online = len(internet.heads)

            await app.network.turn(True)
            reply = await ended(app, await asked(app))
            with pytest.raises(Offline):
                await ask_engine(Gate(is_closed=True), "duckduckgo", "tea")

        assert (ELSEWHERE, 443, "127.0.0.1", False) == (row.host, row.port, row.via, row.is_loopback)
        assert reply.error is not None
        assert "offline" == reply.error.code
        assert online == len(internet.heads) > 0


@pytest.mark.parametrize(
    ("tool", "arguments"),
    [(web_fetch, {"url": "https://site.example/"}), (web_search, {"query": "tea"})],
)
async def test_offline_the_tools_of_the_web_say_so_and_nobody_is_asked(
    tool: FunctionTool, arguments: dict[str, str]
) -> None:
    services = SimpleNamespace(web=Web(gate=Gate(is_closed=True)))
    context = ToolContext(cast(Any, services), 1, 1, 1, None, "call")
    given = tool.read_arguments(json.dumps(arguments))

    with pytest.raises(Offline, match="Deskside is offline"):
        await tool.preview(context, given)
    with pytest.raises(Offline, match="Deskside is offline"):
        await tool.call(context, given)


async def test_a_name_that_only_calls_itself_this_machine_is_not_reached(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def look_up(host: str, port: int) -> list[dialing.Address]:
        return [(socket.AF_INET, ("192.0.2.1", port))]

    monkeypatch.setattr(dialing, "look_up", look_up)
    line = Gate(is_closed=True).line("localhost", 80)

    with pytest.raises(OSError, match="has no address"):
        await line.dial("localhost", 80)


@pytest.mark.parametrize(
    ("host", "is_here"),
    [
        ("localhost", True), ("LocalHost.", True), ("api.localhost", True), ("127.0.0.1", True),
        ("127.255.0.9", True), ("::1", True), ("[::1]", True), ("::ffff:127.0.0.1", True),
        ("0.0.0.0", False), ("192.168.1.5", False), ("10.0.0.1", False), ("localhost.example", False),
        ("127.0.0.1.example", False), ("printer", False), ("::", False), ("fe80::1", False),
    ],
)  # fmt: skip
def test_what_is_this_machine(host: str, is_here: bool) -> None:
    assert is_here == dialing.is_loopback(host)


async def test_offline_lasts_until_it_is_switched_off(
    tmp_path: Path, provider: ProviderServer, names: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-test")
    async with opened(tmp_path, provider) as app:
        await app.network.turn(True)
        assert await until(
            app, lambda event: isinstance(event, SettingsChanged) and event.settings.is_offline
        )
    async with opened(tmp_path, provider) as app:
        assert app.settings.current.is_offline
        assert "failed" == (await ended(app, await asked(app))).status
        await app.network.turn(False)
    async with opened(tmp_path, provider, is_offline=True) as app:
        assert "failed" == (await ended(app, await asked(app))).status
    async with opened(tmp_path, provider) as app:
        assert not app.settings.current.is_offline


# -- MCP servers ----------------------------------------------------------------------------------


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux gives a program a network of its own")
async def test_offline_a_program_runs_in_a_network_that_leads_nowhere(tmp_path: Path) -> None:
    paths = Paths(tmp_path / "data", tmp_path / "logs", tmp_path / "cache")
    gate = Gate()
    async with open_desk(paths, gate=gate) as desk:
        row = await desk.add(hostile("network"))
        with socket.create_server(("127.0.0.1", 0)) as reachable:
            port = reachable.getsockname()[1]
            online = await desk.call("hostile__reach", {"port": port})

            gate.close()
            await desk.servers.follow_gate()
            await desk.until(row.id, lambda row: row.state == "ready")
            offline = await desk.call("hostile__reach", {"port": port})
        gate.open()
        await desk.servers.follow_gate()
        row = await desk.until(row.id, lambda row: row.state == "ready")

    assert "reached" == online
    # Even this machine's own ports are another network's; its own loopback works.
    assert "not reached, own loopback works" == offline
    assert tool(row, "hostile__reach").is_offered


async def test_offline_a_server_elsewhere_waits_and_says_why(tmp_path: Path, names: list[str]) -> None:
    paths = Paths(tmp_path / "data", tmp_path / "logs", tmp_path / "cache")
    gate = Gate(is_closed=True)
    async with open_desk(paths, gate=gate) as desk:
        row = await desk.servers.propose(
            Proposal("far", "http", url="http://mcp.example:9/mcp"), say_yes, "a test"
        )
        assert row is not None
        row = await desk.until(row.id, lambda row: row.state == "offline")
        with pytest.raises(AppError) as failed:
            await desk.servers.resources(row.id)

    assert "Deskside is offline, and the server is elsewhere." == row.reason
    assert "offline" == failed.value.code
    assert [] == names


# -- everything -----------------------------------------------------------------------------------


async def test_every_connect_of_the_program_goes_through_the_gate(
    app: App, provider: ProviderServer, connects: Connects, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("DESKSIDE_BUNDLED_MODELS", str(bundled_model().parent))
    await ended(app, await asked(app))
    await app.models.available(refresh=True)
    await app.models.find_servers()
    web = Web(may_reach=lambda number: True, ports=ANY_PORT)
    provider.route("/page", Reply(b"text", content_type="text/plain"))
    assert b"text" == (await web.fetch(f"http://site.example:{provider.port}/page")).body
    process = await DeviceProcess.start(bundled_model(), SMOLLM2.name, context_tokens=256, gate=Gate())
    assert await process.is_healthy()
    await process.stop()

    assert len(connects.seen) > 5
    assert [] == [place for place, is_ours in connects.seen if not is_ours]


async def test_a_line_that_is_given_up_as_it_connects_leaves_no_socket_open() -> None:
    """The moment cannot be chosen from outside, so many are tried. An open socket warns once it is lost."""
    with socket.create_server(("127.0.0.1", 0), backlog=512) as server:
        gate = Gate()
        for tick in range(400):
            line = gate.line("127.0.0.1", server.getsockname()[1])
            dialling = asyncio.create_task(line.dial("127.0.0.1", server.getsockname()[1]))
            until_s = asyncio.get_running_loop().time() + tick % 50 * 20e-6
            while asyncio.get_running_loop().time() < until_s:
                await asyncio.sleep(0)
            dialling.cancel()
            (result,) = await asyncio.gather(dialling, return_exceptions=True)
            if isinstance(result, socket.socket):
                result.close()
            line.close("stopped")
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always", ResourceWarning)
        await asyncio.sleep(0)
        gc.collect()
    assert [] == [str(each.message) for each in found]
