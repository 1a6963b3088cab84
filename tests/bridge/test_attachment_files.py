"""The content of attachments over HTTP: in and out, and nothing else."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest

from deskside.backend.app import App, open_app
from deskside.backend.paths import Paths
from deskside.backend.store import replies
from deskside.bridge.desktop import NoDesktop
from deskside.bridge.server import Server

PNG = b"\x89PNG\r\n\x1a\n" + b"pixels"
# A picture in name only: what it would do in a window must never happen.
SVG = b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>'


@asynccontextmanager
async def served(folder: Path, web: Path) -> AsyncIterator[tuple[App, httpx2.AsyncClient]]:
    async with open_app(Paths(folder / "data", folder / "logs", folder / "cache")) as app:
        server = Server(app, NoDesktop(), web)
        await server.start()
        headers = {"Origin": server.origin}
        async with httpx2.AsyncClient(base_url=server.origin, trust_env=False, headers=headers) as http:
            await http.get(server.boot_url())
            yield app, http
        await server.stop()


@pytest.mark.parametrize(
    ("content", "media_type", "disposition"),
    [
        (PNG, "image/png", "inline"),
        (SVG, "application/octet-stream", "attachment"),
        (b"<script>alert(1)</script>", "application/octet-stream", "attachment"),
        (bytes(700_000), "application/octet-stream", "attachment"),
    ],
)
async def test_a_file_comes_back_as_it_was_and_only_pictures_are_shown(
    content: bytes, media_type: str, disposition: str, tmp_path: Path, web: Path
) -> None:
    async with served(tmp_path, web) as (_, http):
        sent = await http.post("/attachments/", params={"name": "日本.png"}, content=content)
        row = sent.json()
        back = await http.get(f"/attachments/{row['id']}")

        assert "日本.png" == row["name"]
        assert content == back.content
        assert (media_type, disposition) == (
            back.headers["content-type"],
            back.headers["content-disposition"],
        )
        assert "nosniff" == back.headers["x-content-type-options"]


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/attachments/1", 404),
        ("GET", "/attachments/", 404),
        ("GET", "/attachments/../deskside.db", 404),
        ("GET", "/attachments/%2e%2e%2fdeskside.db", 404),
        ("GET", "/attachments/-1", 404),
        ("GET", "/attachments/99999999999999999999999", 404),
        ("POST", "/attachments/?name=a&conversation=4711", 404),
        ("POST", "/attachments/?name=a&conversation=x", 404),
        ("POST", "/attachments/?name=a", 400),  # empty
        ("DELETE", "/attachments/1", 400),
    ],
)
async def test_what_makes_no_sense_is_refused(
    method: str, path: str, status: int, tmp_path: Path, web: Path
) -> None:
    async with served(tmp_path, web) as (_, http):
        answer = await http.request(method, path)

        assert status == answer.status_code
        if "error" in answer.text:
            assert answer.json()["error"]["message"]


async def test_a_file_that_somebody_took_away_is_said_to_be_gone(tmp_path: Path, web: Path) -> None:
    async with served(tmp_path, web) as (app, http):
        row = (await http.post("/attachments/", params={"name": "a.txt"}, content=b"plums")).json()
        (app.paths.files / row["sha256"][:2] / row["sha256"]).unlink()

        answer = await http.get(f"/attachments/{row['id']}")

        assert 404 == answer.status_code
        assert "'a.txt' is not there any more" in answer.json()["error"]["message"]


async def test_nobody_gets_a_file_without_the_session(tmp_path: Path, web: Path) -> None:
    async with served(tmp_path, web) as (_, http):
        row = (await http.post("/attachments/", params={"name": "a.txt"}, content=b"plums")).json()
        async with httpx2.AsyncClient(base_url=http.base_url, trust_env=False) as stranger:
            assert 403 == (await stranger.get(f"/attachments/{row['id']}")).status_code
            assert 403 == (await stranger.post("/attachments/?name=x", content=b"x")).status_code


@pytest.mark.parametrize("command", ["purge", "empty_trash"])
async def test_a_file_goes_for_good_with_the_conversation_that_had_it(
    command: str, tmp_path: Path, web: Path
) -> None:
    async with served(tmp_path, web) as (app, http):
        row = (await http.post("/attachments/", params={"name": "a.txt"}, content=b"plums")).json()
        asked = await app.store.write(replies.ask, None, "What is it?", "test/model", None, [row["id"]])
        content = app.paths.files / row["sha256"][:2] / row["sha256"]

        async def call(name: str, **params: Any) -> None:
            answer = (await http.post(f"/rpc/conversations.{name}", json=params)).json()
            assert answer["ok"], answer

        await call("delete", ids=[asked.conversation.id])
        assert content.exists()
        await call(command, **({"ids": [asked.conversation.id]} if command == "purge" else {}))

        assert not content.exists()
