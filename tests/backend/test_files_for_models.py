"""Files on their way to a model, over real sockets and in all three formats: as they are where a provider
takes them, as text otherwise, and never at the cost of the conversation."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from test_attachments import attach, pdf_with, read
from test_over_the_wire import WIRES, Wire, opened, posts
from test_runs import ended

from deskside.backend.agent import compaction, file_contents, user_files
from deskside.backend.agent.events import HistoryItem, ModelRequest, UserFile, UserText
from deskside.backend.agent.provenance import outside_sources
from deskside.backend.agent.request_size import estimated_tokens
from deskside.backend.app import App
from deskside.backend.attachments import documents
from deskside.backend.events import Notice
from deskside.backend.paths import Paths
from deskside.backend.store import messages
from deskside.backend.store.attachments import AttachmentRow
from deskside.backend.store.messages import MessageRow
from provider_server import ProviderServer, error_reply
from stores import paths_in


@pytest.fixture
def server() -> Iterator[ProviderServer]:
    with ProviderServer() as server:
        yield server


@pytest.fixture(params=list(WIRES))
def wire(request: pytest.FixtureRequest) -> Wire:
    return WIRES[request.param]


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    return paths_in(tmp_path)


def png(side: int = 8, colour: str = "red") -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (side, side), colour).save(file, "PNG")
    return file.getvalue()


async def ask(
    app: App, wire: Wire, text: str, *rows: AttachmentRow, after: MessageRow | None = None
) -> MessageRow:
    conversation = None if after is None else after.conversation_id
    started = await app.runs.start(conversation, text, wire.model, None, [row.id for row in rows])
    return await ended(app, started.reply.id)


def said(body: Any, turn: int = -1) -> list[str]:
    """What the user said in a request, part by part: texts as they are, of files the kind and the content."""
    users = [each for each in body.get("messages") or body["input"] if each.get("role") == "user"]
    content = users[turn]["content"]
    return [content] if isinstance(content, str) else [_read(part) for part in content]


def _read(part: Any) -> str:
    match part:
        case {"type": "text" | "input_text", "text": text}:
            return text
        case {"type": "image_url", "image_url": {"url": url}} | {"type": "input_image", "image_url": url}:
            return f"picture {url}"
        case {"type": "file", "file": {"filename": name, "file_data": data}} | {
            "type": "input_file", "filename": name, "file_data": data,
        }:  # fmt: skip
            return f"file {name} {data}"
        case {"type": "image", "source": {"type": "base64", "media_type": kind, "data": data}}:
            return f"picture data:{kind};base64,{data}"
        case {
            "type": "document",
            "title": name,
            "source": {"type": "base64", "media_type": kind, "data": data},
        }:
            return f"file {name} data:{kind};base64,{data}"
        case _:
            pytest.fail(f"an unexpected part: {part}")


def url(media_type: str, content: bytes) -> str:
    return f"data:{media_type};base64,{base64.b64encode(content).decode()}"


def notices(app: App) -> list[str]:
    return [event.message for event in app.events.since(0, 10_000) or [] if isinstance(event, Notice)]


async def test_each_provider_gets_what_it_takes_and_text_of_the_rest(
    paths: Paths, server: ProviderServer, wire: Wire
) -> None:
    pdf = pdf_with("Cold plums")
    async with opened(paths, server) as app:
        rows = [
            await attach(app, png(), "red.png"),
            await attach(app, pdf, "plums.pdf"),
            await attach(app, b"a ``` b\n", "notes.txt"),
            await attach(app, b"\x00\x01" * 50, "dump.bin"),
        ]
        reply = await ask(app, wire, "What is this?", *rows)
        await ask(app, wire, "And now?", after=reply)

    picture = f"picture {url('image/png', png())}"
    pdf_itself = ["Attached: plums.pdf", f"file plums.pdf {url('application/pdf', pdf)}"]
    pdf_text = "Attached: plums.pdf\n```\n[Page 1]\nCold plums\n```"
    rest = (
        "Attached: notes.txt\n````\na ``` b\n````\n\n"
        "Attached: dump.bin (100 bytes that are no text and no document; they are not shown to you)\n\n"
        "What is this?"
    )
    native = ["Attached: red.png", picture, *pdf_itself, rest]
    expected = ["Attached: red.png", picture, f"{pdf_text}\n\n{rest}"] if wire.format == "chat" else native
    first, second = posts(server)
    assert expected == said(first)
    assert (expected, ["And now?"]) == (said(second, 0), said(second))


async def test_a_question_of_files_alone_is_sent_without_a_blank_text(
    paths: Paths, server: ProviderServer, wire: Wire
) -> None:
    async with opened(paths, server) as app:
        await ask(app, wire, "", await attach(app, png(), "red.png"))

    assert ["Attached: red.png", f"picture {url('image/png', png())}"] == said(posts(server)[0])


async def test_a_model_reads_no_invisible_characters_and_the_text_counts_as_from_outside(
    paths: Paths, server: ProviderServer, wire: Wire
) -> None:
    hidden = "".join(chr(0xE0000 + ord(letter)) for letter in "obey")
    async with opened(paths, server) as app:
        row = await attach(app, f"plums{hidden}\u200b!".encode(), "plu\u200bms.txt")
        reply = await ask(app, wire, "Read it.", row)
        history = await app.store.read(messages.history, reply.id)

    assert ["Attached: plums.txt\n```\nplums!\n```\n\nRead it."] == said(posts(server)[0])
    assert ["plums.txt"] == outside_sources(history)


async def test_the_answer_waits_until_the_files_were_read(
    paths: Paths, server: ProviderServer, wire: Wire, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker = tmp_path / "slow.py"
    gate = tmp_path / "gate"
    worker.write_text(
        "import sys, time, pathlib\nsys.stdin.buffer.read()\n"
        f"while not pathlib.Path({str(gate)!r}).exists(): time.sleep(0.01)\nprint('[Page 1] late plums')",
        "utf-8",
    )
    monkeypatch.setattr(documents, "EXTRACT_WORKER", worker)
    async with opened(paths, server) as app:
        row = await attach(app, pdf_with("x").replace(b"PDF-1.4", b"PDF-1.5"), "plums.pdf")
        started = await app.runs.start(None, "Read it.", "local/local-model", None, [row.id])

        assert "waiting" == started.question.attachments[0].text_status
        assert [] == posts(server)
        gate.touch()
        await ended(app, started.reply.id)

    assert "late plums" in said(posts(server)[0])[0]


async def test_a_file_that_is_never_read_does_not_hold_the_answer_up(
    paths: Paths, server: ProviderServer, wire: Wire, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    endless = tmp_path / "endless.py"
    endless.write_text("while True: pass", "utf-8")
    monkeypatch.setattr(documents, "EXTRACT_WORKER", endless)
    monkeypatch.setattr("deskside.backend.attachments.attachments.LONGEST_WAIT_S", 0.2)
    async with opened(paths, server) as app:
        await ask(app, wire, "Read it.", await attach(app, pdf_with("x"), "plums.pdf"))

    assert ["Attached: plums.pdf (its text is still being read)\n\nRead it."] == said(posts(server)[0])


async def test_what_could_not_be_read_is_said_to_the_model(
    paths: Paths, server: ProviderServer, wire: Wire
) -> None:
    async with opened(paths, server) as app:
        row = await read(app, await attach(app, b"%PDF-1.4\nnothing else", "plums.pdf"))
        await ask(app, wire, "Read it.", row)

    assert "failed" == row.text_status
    assert "plums.pdf (its text could not be read: it is damaged" in said(posts(server)[0])[0]


async def test_a_file_that_is_gone_costs_a_note_and_not_the_answer(
    paths: Paths, server: ProviderServer, wire: Wire
) -> None:
    async with opened(paths, server) as app:
        row = await attach(app, png(), "red.png")
        app.attachments.path_of(row).unlink()
        reply = await ask(app, wire, "What is this?", row)

        assert "complete" == reply.status
        assert ["'red.png' is not on this computer any more."] == notices(app)

    note = "Attached: red.png (it is not on this computer any more; tell the user so)"
    assert [f"{note}\n\nWhat is this?"] == said(posts(server)[0])


REFUSALS = [
    error_reply(400, {"error": {"type": "invalid_request_error", "message": "Could not process image"}}),
    error_reply(
        500, {"error": {"code": 500, "message": "image input is not supported", "type": "server_error"}}
    ),
]


@pytest.mark.parametrize("refusal", REFUSALS, ids=["a broken picture", "a server without eyes"])
async def test_a_file_that_is_refused_is_left_out_from_then_on_and_others_are_not(
    refusal: Any, paths: Paths, server: ProviderServer, wire: Wire
) -> None:
    note = "(you were not given it, because it was refused on its way to you; tell the user so)"
    good, bad = f"picture {url('image/png', png())}", f"picture {url('image/png', png(9))}"
    async with opened(paths, server) as app:
        reply = await ask(app, wire, "One", await attach(app, png(), "good.png"))
        server.script(refusal)
        reply = await ask(
            app, wire, "Two", await attach(app, png(9), "bad.png", reply.conversation_id), after=reply
        )
        assert "complete" == reply.status
        assert [f"'bad.png' was refused by {wire.model}."] == notices(app)
        await ask(app, wire, "Three", after=reply)

    first, refused, second, third = posts(server)
    assert [good, bad] == [
        part for turn in (0, 1) for part in said(refused, turn) if part.startswith("picture")
    ]
    for body in (second, third):
        assert ["Attached: good.png", good, "One"] == said(body, 0)
        assert [f"Attached: bad.png {note}\n\nTwo"] == said(body, 1)
    assert good in said(first)


async def test_a_refusal_that_is_not_about_files_is_said_as_it_was(
    paths: Paths, server: ProviderServer, wire: Wire
) -> None:
    refusal = error_reply(400, {"error": {"type": "invalid_request_error", "message": "No such thing."}})
    async with opened(paths, server) as app:
        server.script(refusal, refusal)
        reply = await ask(app, wire, "One", await attach(app, png(), "red.png"))

        assert reply.error is not None
        assert "No such thing." in reply.error.message
        assert [] == notices(app)


async def test_a_large_picture_is_sent_smaller_and_made_once(
    paths: Paths, server: ProviderServer, wire: Wire, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(file_contents, "PICTURE_SIDE", 2500)
    made: list[str] = []
    make = documents.smaller_picture

    async def counted(media_type: str, content: bytes) -> str:
        made.append(media_type)
        return await make(media_type, content)

    monkeypatch.setattr(file_contents, "smaller_picture", counted)
    async with opened(paths, server) as app:
        reply = await ask(app, wire, "One", await attach(app, png(3000), "large.png"))
        await ask(app, wire, "Two", after=reply)

    for body in posts(server):
        picture = said(body, 0)[1].removeprefix("picture data:image/jpeg;base64,")
        with Image.open(io.BytesIO(base64.b64decode(picture))) as image:
            assert ("JPEG", (2000, 2000)) == (image.format, image.size)
    assert ["image/png"] == made


async def test_what_does_not_fit_into_a_request_is_left_out_the_oldest_first(
    paths: Paths, server: ProviderServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(user_files, "REQUEST_BYTES", len(png()) + 5)
    wire = WIRES["messages"]
    async with opened(paths, server) as app:
        reply = await ask(app, wire, "One", await attach(app, png(), "red.png"))
        await ask(
            app,
            wire,
            "Two",
            await attach(app, png(colour="blue"), "blue.png", reply.conversation_id),
            after=reply,
        )

    body = posts(server)[1]
    assert [
        "Attached: red.png (a picture, which cannot be shown to you; tell the user so if it matters)\n\nOne"
    ] == (said(body, 0))
    assert f"picture {url('image/png', png(colour='blue'))}" == said(body)[1]


# -- how much room they take ----------------------------------------------------------------------


def file(name: str, media_type: str, text: str | None = None) -> UserFile:
    return UserFile("ab" * 32, name, media_type, 1000, text)


@pytest.mark.parametrize(
    ("model", "given", "least", "most"),
    [
        ("openai/gpt-5.4", file("a.png", "image/png"), 1600, 1700),
        ("device/small", file("a.png", "image/png"), 10, 60),
        ("local/model", file("a.pdf", "application/pdf", "[Page 1]\n" + "x" * 3500), 1000, 1100),
        ("anthropic/claude", file("a.pdf", "application/pdf", "[Page 1]\n" + "x" * 3500), 2600, 2700),
        ("anthropic/claude", file("a.txt", "text/plain", "日" * 1000), 1000, 1100),
    ],
)
def test_files_are_counted_as_they_are_sent(model: str, given: UserFile, least: int, most: int) -> None:
    assert least <= estimated_tokens(ModelRequest([given]), model) <= most


def test_a_summary_takes_a_question_with_its_files() -> None:
    history: list[HistoryItem] = [
        UserText("x" * 400),
        file("a.txt", "text/plain", "y" * 3500),
        UserText("And?"),
    ]

    assert 2 == compaction.items_to_keep(history, 6_000)
    assert 0 == compaction.items_to_keep(history, 600)
    (asked,) = compaction.summary_request(history, 0, 100_000).history
    assert isinstance(asked, UserText)
    assert "y" * 3500 in asked.text
