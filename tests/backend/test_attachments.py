"""Attachments: taken in whole or not at all, there once, read with limits, gone with the last reference."""

from __future__ import annotations

import asyncio
import hashlib
import io
import threading
import zipfile
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from test_runs import ended, until

from deskside.backend.agent.scripted_model import ScriptedModel
from deskside.backend.app import App, open_app
from deskside.backend.attachments import attachments as service
from deskside.backend.attachments import documents, extract_worker
from deskside.backend.attachments.attachments import UNREADABLE
from deskside.backend.attachments.media import DOCX, PDF, PPTX, XLSX
from deskside.backend.backups import snapshot
from deskside.backend.errors import InvalidRequest, NotFound
from deskside.backend.events import AttachmentChanged
from deskside.backend.store import attachments, conversations, forks, messages
from deskside.backend.store.attachments import AttachmentRow
from deskside.backend.store.messages import MessageRow
from stores import MODEL, paths_in, run_to_its_death

PNG = b"\x89PNG\r\n\x1a\n" + b"pixels"


@asynccontextmanager
async def opened(folder: Path, *steps: Any) -> AsyncIterator[App]:
    async with open_app(paths_in(folder), {MODEL: ScriptedModel(steps)}) as app:
        yield app


async def pieces(*parts: bytes) -> AsyncIterator[bytes]:
    for part in parts:
        yield part


async def attach(
    app: App, content: bytes, name: str = "a.txt", conversation_id: int | None = None
) -> AttachmentRow:
    half = len(content) // 2
    return await app.attachments.receive(conversation_id, name, pieces(content[:half], content[half:]))


async def asked(app: App, text: str, *rows: AttachmentRow) -> MessageRow:
    """The answer to a question with these files."""
    started = await app.runs.start(None, text, MODEL, None, [row.id for row in rows])
    return await ended(app, started.reply.id)


async def read(app: App, row: AttachmentRow) -> AttachmentRow:
    """The attachment once its text was read, or could not be."""

    def is_it(event: Any) -> bool:
        return isinstance(event, AttachmentChanged) and event.attachment.id == row.id

    event = await until(app, is_it)
    assert isinstance(event, AttachmentChanged)
    return event.attachment


def files(folder: Path) -> list[str]:
    return sorted(path.name for path in (folder / "data" / "files").rglob("*") if path.is_file())


# -- in and out -----------------------------------------------------------------------------------


async def test_a_file_is_kept_once_under_its_hash_and_sent_with_the_question(tmp_path: Path) -> None:
    async with opened(tmp_path, "one", "two") as app:
        first = await attach(app, b"plums\n", "C:\\notes\\plums.txt")
        again = await attach(app, b"plums\n", "more.txt")
        sha256 = hashlib.sha256(b"plums\n").hexdigest()

        assert ("plums.txt", "text/plain", 6, sha256) == (
            first.name, first.media_type, first.size_bytes, first.sha256,
        )  # fmt: skip
        assert [sha256] == files(tmp_path)
        assert b"plums\n" == app.attachments.path_of(first).read_bytes()
        assert [first.id, again.id] == [row.id for row in await app.store.read(attachments.of_draft, None)]

        reply = await asked(app, "What is in them?", again, first)

        assert [] == await app.store.read(attachments.of_draft, None)
        page = await app.store.read(messages.page, reply.conversation_id, None, 10)
        question = page.messages[0]
        assert [again.id, first.id] == [row.id for row in question.attachments]
        other = await app.runs.ask_instead(question.id, "And now?", None)
        assert other.question is not None
        assert ["more.txt", "plums.txt"] == [row.name for row in other.question.attachments]


async def test_a_question_may_be_files_alone(tmp_path: Path) -> None:
    async with opened(tmp_path, "one", "two") as app:
        reply = await asked(app, "", await attach(app, b"plums", "Plums of 2026.txt"))

        row = await app.store.read(conversations.get, reply.conversation_id)
        assert "Plums of 2026.txt" == row.title
        question = (await app.store.read(messages.page, row.id, None, 10)).messages[0]
        other = await app.runs.ask_instead(question.id, " ", None)
        assert other.question is not None
        assert ["Plums of 2026.txt"] == [file.name for file in other.question.attachments]


async def test_a_question_of_nothing_or_with_files_of_elsewhere_is_refused(tmp_path: Path) -> None:
    async with opened(tmp_path, "one", "two") as app:
        with pytest.raises(InvalidRequest, match="nothing to ask"):
            await app.runs.start(None, " \n", MODEL)
        first = await asked(app, "hi")
        row = await attach(app, b"plums")
        for conversation, ids in (
            (first.conversation_id, [row.id]),
            (None, [4711]),
            (None, [row.id, row.id]),
        ):
            with pytest.raises(NotFound, match="was removed"):
                await app.runs.start(conversation, "hi", MODEL, None, ids)

        assert [row.id] == [file.id for file in await app.store.read(attachments.of_draft, None)]
        assert 1 == len((await app.store.read(conversations.page, None, 10)).conversations)


async def test_a_question_from_elsewhere_leaves_the_draft_its_files(tmp_path: Path) -> None:
    async with opened(tmp_path, "one") as app:
        row = await attach(app, b"plums")
        await asked(app, "hi")

        assert [row.id] == [file.id for file in await app.store.read(attachments.of_draft, None)]


async def test_a_file_goes_with_the_last_that_refers_to_it(tmp_path: Path) -> None:
    async with opened(tmp_path, "one") as app:
        sent, again = await attach(app, b"plums"), await attach(app, PNG, "a.png")
        reply = await asked(app, "hi", sent, again)
        draft = await attach(app, b"plums", "again.txt", reply.conversation_id)
        fork = await app.store.write(forks.fork, reply.id)

        await app.attachments.detach(draft.id)
        with pytest.raises(NotFound):
            await app.attachments.detach(sent.id)  # it was sent: that stays as it is
        for id in (reply.conversation_id, fork.id):
            assert {sent.sha256, again.sha256} == set(files(tmp_path))
            await app.store.write(conversations.delete, id)
            await app.store.write(conversations.purge, id)
            await app.attachments.collect()

        assert [] == files(tmp_path)


async def test_a_backup_has_the_content_of_what_is_taken_off_meanwhile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = snapshot.copy_checked
    rows_copied, taken_off = threading.Event(), threading.Event()

    def copy_rows(*args: Any, **options: Any) -> Any:
        copied = copy(*args, **options)
        rows_copied.set()
        assert taken_off.wait(30)
        return copied

    monkeypatch.setattr(snapshot, "copy_checked", copy_rows)
    async with opened(tmp_path, "one") as app:
        row = await attach(app, b"plums")
        making = asyncio.create_task(app.backups.make())
        await asyncio.to_thread(rows_copied.wait, 30)
        await app.attachments.detach(row.id)
        taken_off.set()

        assert [] == (await making).missing
        async with asyncio.timeout(30):
            while files(tmp_path):
                await asyncio.sleep(0.01)


@pytest.mark.parametrize(("content", "error"), [(b"", "is empty"), (b"x" * 2000, "is larger than")])
async def test_what_is_empty_or_too_large_is_refused_and_nothing_is_left(
    content: bytes, error: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "SIZE_LIMIT_BYTES", 1000)
    async with opened(tmp_path) as app:
        with pytest.raises(InvalidRequest, match=error):
            await attach(app, content)
        with pytest.raises(NotFound):
            await attach(app, b"x", conversation_id=4711)

        assert [] == files(tmp_path)
        assert [] == await app.store.read(attachments.of_draft, None)


async def test_a_file_that_breaks_off_leaves_nothing(tmp_path: Path) -> None:
    async def broken() -> AsyncIterator[bytes]:
        yield b"half"
        raise ConnectionResetError

    async with opened(tmp_path) as app:
        with pytest.raises(ConnectionResetError):
            await app.attachments.receive(None, "a.txt", broken())

        assert [] == files(tmp_path)


KILLED = """
import asyncio, os, signal, sys
from pathlib import Path
from deskside.backend.app import open_app
from deskside.backend.paths import Paths
async def slow():
    yield b"plums"
    os.kill(os.getpid(), signal.SIGKILL)
async def once():
    yield b"whole"
async def main():
    folder = Path(sys.argv[1])
    async with open_app(Paths(folder / "data", folder / "logs", folder / "cache")) as app:
        await app.attachments.receive(None, "whole.txt", once())
        async with app.attachments.placing:  # what this start tidies up, it has by now, or does not get to
            (folder / "data" / "files" / "ab").mkdir()
            (folder / "data" / "files" / "ab" / ("ab" * 32)).write_bytes(b"placed and never known")
            await app.attachments.receive(None, "half.txt", slow())
asyncio.run(main())
"""


async def test_after_a_crash_what_was_taken_in_is_there_and_the_rest_is_gone(tmp_path: Path) -> None:
    run_to_its_death(KILLED, tmp_path)
    assert 3 == len(files(tmp_path))

    async with opened(tmp_path) as app:
        (row,) = await app.store.read(attachments.of_draft, None)
        async with asyncio.timeout(60):
            while (
                files(tmp_path) != [row.sha256]
                or (await app.store.read(attachments.get, row.id)).text_status != "ready"
            ):
                await asyncio.sleep(0.01)

        assert "whole" == await app.store.read(attachments.text_of, row.id)


# -- reading --------------------------------------------------------------------------------------


def pdf_with(text: str) -> bytes:
    """The smallest PDF with one line of text."""
    stream = f"BT /F1 12 Tf 72 720 Td ({text}) Tj ET".encode()
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents 4 0 R "
        b"/Resources << /Font << /F1 5 0 R >> >> >>",
        b"<< /Length %d >>\nstream\n%s\nendstream" % (len(stream), stream),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
    ]
    body, offsets = b"%PDF-1.4\n", []
    for number, each in enumerate(objects, 1):
        offsets.append(len(body))
        body += b"%d 0 obj\n%s\nendobj\n" % (number, each)
    table = b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    return body + (
        b"xref\n0 6\n0000000000 65535 f \n%strailer << /Size 6 /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF"
        % (table, len(body))
    )


def docx_with(text: str) -> bytes:
    import docx

    document = docx.Document()
    document.add_paragraph(text)
    table = document.add_table(1, 2)
    table.cell(0, 0).text, table.cell(0, 1).text = "left", "right"
    return saved(document.save)


def xlsx_with(text: str) -> bytes:
    import openpyxl

    book = openpyxl.Workbook()
    assert book.active is not None
    book.active.append([text, 42, None, 1.5])
    return saved(book.save)


def pptx_with(text: str) -> bytes:
    import pptx

    show = pptx.Presentation()
    slide = show.slides.add_slide(show.slide_layouts[1])
    assert slide.shapes.title is not None
    slide.shapes.title.text = text
    return saved(show.save)


def saved(save: Callable[[Any], None]) -> bytes:
    file = io.BytesIO()
    save(file)
    return file.getvalue()


@pytest.mark.parametrize(
    ("content", "media_type", "text"),
    [
        pytest.param(pdf_with("Cold plums"), PDF, ["[Page 1]", "Cold plums"], id="pdf"),
        pytest.param(docx_with("Cold plüms"), DOCX, ["Cold plüms", "left | right"], id="docx"),
        pytest.param(xlsx_with("Cold plums"), XLSX, ["[Sheet Sheet]", "Cold plums\t42\t\t1.5"], id="xlsx"),
        pytest.param(pptx_with("Cold plums"), PPTX, ["[Slide 1]", "Cold plums"], id="pptx"),
        pytest.param("def f():\n  return '日本'\n".encode(), "text/plain", ["return '日本'"], id="utf-8"),
        pytest.param("Grüße".encode("utf-16"), "text/plain", ["Grüße"], id="utf-16"),
        pytest.param("Grüße".encode("cp1252"), "text/plain", ["Grüße"], id="cp1252"),
        pytest.param(b"a" * 63_999 + "ü".encode() + b"b", "text/plain", ["aü"], id="a character at a border"),
    ],
)
async def test_the_text_of_a_document_is_read(
    content: bytes, media_type: str, text: list[str], tmp_path: Path
) -> None:
    async with opened(tmp_path) as app:
        row = await attach(app, content, "anything.bin")
        assert (media_type, "waiting") == (row.media_type, row.text_status)

        assert "ready" == (await read(app, row)).text_status

        found = await app.store.read(attachments.text_of, row.id)
        assert found is not None
        for expected in text:
            assert expected in found
        again = await attach(app, content, "again.bin")
        assert "ready" == again.text_status  # it is the same content: nothing is read again


async def test_invisible_characters_of_a_text_are_counted_and_it_is_shown_as_it_came(tmp_path: Path) -> None:
    text = "plums" + "".join(chr(0xE0000 + ord(letter)) for letter in "obey") + "\u200b!"
    async with opened(tmp_path) as app:
        row = await read(app, await attach(app, text.encode()))

        assert 5 == row.hidden_characters
        assert text == await app.store.read(attachments.text_of, row.id)


def bomb() -> bytes:
    """A document that unpacks to more than it may, in a few hundred kilobytes."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("word/document.xml", b"")
        for number in range(6):
            archive.writestr(f"word/{number}.xml", bytes(100_000_000))
    return file.getvalue()


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"%PDF-1.4\nnothing else", id="a pdf that is none"),
        pytest.param(pdf_with("x")[:300], id="half a pdf"),
        pytest.param(docx_with("x").replace(b"word/document", b"word/documenu", 1), id="a torn docx"),
        pytest.param(bomb(), id="a zip bomb"),
        pytest.param(b"\xff\xfe" + b"\x00\xd8" * 1000, id="half characters"),
    ],
)
async def test_what_cannot_be_read_says_so_and_stays_attached(content: bytes, tmp_path: Path) -> None:
    async with opened(tmp_path) as app:
        row = await attach(app, content)
        if row.text_status == "none":  # it does not even look like a document
            return
        row = await read(app, row)

        assert row.text_status == "ready" or (row.text_status, row.text_error) == ("failed", UNREADABLE)
        assert [row] == await app.store.read(attachments.of_draft, None)


async def test_a_reader_that_never_ends_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    endless = tmp_path / "endless.py"
    endless.write_text("while True: pass", "utf-8")
    monkeypatch.setattr(documents, "EXTRACT_WORKER", endless)
    monkeypatch.setattr(documents, "TIME_LIMIT_S", 0.3)
    async with opened(tmp_path) as app:
        row = await read(app, await attach(app, pdf_with("x")))

        assert ("failed", UNREADABLE) == (row.text_status, row.text_error)


async def test_an_image_and_what_is_no_text_are_kept_without_one(tmp_path: Path) -> None:
    async with opened(tmp_path) as app:
        image = await attach(app, PNG, "a.txt")
        other = await attach(app, b"\x00\x01\x02" * 100, "a.txt")

        assert [("image/png", "none"), ("application/octet-stream", "none")] == [
            (row.media_type, row.text_status) for row in (image, other)
        ]
        assert None is await app.store.read(attachments.text_of, image.id)


def test_the_worker_stands_alone() -> None:
    """It runs with `-P` and nothing of ours on its path."""
    source = Path(extract_worker.__file__).read_text("utf-8")

    assert "deskside" not in source
