"""The content of attachments over HTTP: in and out, and nothing else."""

from __future__ import annotations

import io
import zlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2
import pypdfium2
import pytest
from PIL import Image

from deskside.backend.app import App, open_app
from deskside.backend.attachments import documents
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


def pdf_of(sizes: list[tuple[float, float]]) -> bytes:
    """A PDF with an empty page of each size (in points)."""
    file = io.BytesIO()
    document = pypdfium2.PdfDocument.new()
    for width, height in sizes:
        document.new_page(width, height)
    document.save(file)
    return file.getvalue()


async def put(http: httpx2.AsyncClient, content: bytes) -> int:
    """Attach a PDF; returns its id."""
    sent = await http.post("/attachments/", params={"name": "plums.pdf"}, content=content)
    assert "application/pdf" == sent.json()["media_type"]
    return int(sent.json()["id"])


async def test_a_page_of_a_pdf_comes_as_a_picture_with_how_many_there_are(tmp_path: Path, web: Path) -> None:
    async with served(tmp_path, web) as (_, http):
        id = await put(http, pdf_of([(612, 792), (792, 612), (20_000, 10), (1, 1)]))
        pages = [await http.get(f"/attachments/{id}/pages/{number}") for number in (1, 2, 3, 4)]

        assert ["image/png"] * 4 == [page.headers["content-type"] for page in pages]
        assert ["4"] * 4 == [page.headers["deskside-pages"] for page in pages]
        sizes = [Image.open(io.BytesIO(page.content)).size for page in pages]
        assert [(1082, 1400), (1400, 1082), (1400, 1), (4, 4)] == sizes


@pytest.mark.parametrize(
    ("number", "status"), [("0", 404), ("5", 404), ("-1", 404), ("x", 404), ("", 404), ("1/pages/1", 404)]
)
async def test_a_page_that_is_not_there_is_said_to_be_so(
    number: str, status: int, tmp_path: Path, web: Path
) -> None:
    async with served(tmp_path, web) as (_, http):
        id = await put(http, pdf_of([(612, 792)]))
        answer = await http.get(f"/attachments/{id}/pages/{number}")

        assert status == answer.status_code
        assert answer.json()["error"]["message"]


def pdf_with_bomb() -> bytes:
    """A page with a picture of 60,000 by 60,000 pixels in a few megabytes."""
    pixels = zlib.compress(bytes(100_000_000), 9)
    return (
        b"%%PDF-1.4\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj\n"
        b"2 0 obj<</Type/Pages/Kids[3 0 R]/Count 1>>endobj\n"
        b"3 0 obj<</Type/Page/Parent 2 0 R/MediaBox[0 0 612 792]/Contents 4 0 R"
        b"/Resources<</XObject<</I 5 0 R>>>>>>endobj\n"
        b"4 0 obj<</Length 30>>stream\n612 0 0 792 0 0 cm /I Do     \nendstream endobj\n"
        b"5 0 obj<</Type/XObject/Subtype/Image/Width 60000/Height 60000/BitsPerComponent 8"
        b"/ColorSpace/DeviceRGB/Filter/FlateDecode/Length %d>>stream\n%s\nendstream endobj\n"
        b"trailer<</Root 1 0 R>>" % (len(pixels), pixels)
    )


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"%PDF-1.4\nnothing else", id="none"),
        pytest.param(pdf_of([(612, 792)])[:200], id="half"),
        pytest.param(
            b"%PDF-1.4\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj 2 0 obj<</Type/Pages/Kids[2 0 R]/Count 1>>"
            b"endobj trailer<</Root 1 0 R>>",
            id="pages that hold themselves",
        ),
        pytest.param(pdf_with_bomb(), id="a picture of ten gigabytes"),
    ],
)
async def test_a_pdf_that_cannot_be_drawn_says_so_and_does_no_harm(
    content: bytes, tmp_path: Path, web: Path
) -> None:
    async with served(tmp_path, web) as (_, http):
        answer = await http.get(f"/attachments/{await put(http, content)}/pages/1")
        good = await http.get(f"/attachments/{await put(http, pdf_of([(612, 792)]))}/pages/1")

        # Some are mended, and what is left of them is drawn.
        is_drawn = answer.headers["content-type"] == "image/png"
        assert is_drawn or answer.json()["error"]["message"]
        assert 200 == good.status_code


async def test_a_page_that_takes_for_ever_is_given_up(
    tmp_path: Path, web: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    endless = tmp_path / "endless.py"
    endless.write_text("while True: pass", "utf-8")
    monkeypatch.setattr(documents, "EXTRACT_WORKER", endless)
    monkeypatch.setattr(documents, "PAGE_TIME_LIMIT_S", 0.3)
    async with served(tmp_path, web) as (_, http):
        answer = await http.get(f"/attachments/{await put(http, pdf_of([(612, 792)]))}/pages/1")

        assert 400 == answer.status_code
        assert "cannot be shown" in answer.json()["error"]["message"]


async def test_only_a_pdf_has_pages(tmp_path: Path, web: Path) -> None:
    async with served(tmp_path, web) as (_, http):
        row = (await http.post("/attachments/", params={"name": "a.txt"}, content=b"plums")).json()

        assert 400 == (await http.get(f"/attachments/{row['id']}/pages/1")).status_code


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
