"""The child process that reads the text out of a document: `python -P extract_worker.py`.

Its input is the document, after a line of JSON {"media_type", "longest"}; it writes the text. It is a process
of its own because a document is written by anybody: a small one can unpack to gigabytes, and C code that
fails takes its process with it. It opens no file and no connection.

Stands alone: imports nothing of this program.
"""

from __future__ import annotations

import io
import json
import sys
import zipfile
from collections.abc import Iterator

MEMORY_BYTES = 2_000_000_000
TIME_S = 60
# A document that unpacks to more was made to do harm.
UNPACKED_BYTES = 500_000_000
XLSX_CELLS = 500_000


def main() -> None:
    limit_process()
    order = json.loads(sys.stdin.buffer.readline())
    document = sys.stdin.buffer.read()
    read = READERS[order["media_type"].rsplit(".", 1)[-1].rsplit("/", 1)[-1]]
    longest, written = order["longest"], 0
    for piece in read(document):
        piece = piece[: longest - written]
        written += len(piece)
        sys.stdout.buffer.write(piece.encode("utf-8", "replace"))
        if written >= longest:
            break


def limit_process() -> None:
    """Bound memory and time where the system can (not on Windows; macOS knows no limit of memory)."""
    try:
        import resource
    except ImportError:
        return
    for kind, limit in (
        (resource.RLIMIT_AS, MEMORY_BYTES),
        (resource.RLIMIT_CPU, TIME_S),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_FSIZE, 0),
    ):
        try:
            resource.setrlimit(kind, (limit, limit))
        except (OSError, ValueError):  # a system that has the name but not the limit
            continue


def pdf(document: bytes) -> Iterator[str]:
    import pypdfium2

    pages = pypdfium2.PdfDocument(document)
    for number in range(len(pages)):
        text = pages[number].get_textpage().get_text_bounded()
        yield f"[Page {number + 1}]\n{text.replace(chr(13), '').strip()}\n\n"


def docx(document: bytes) -> Iterator[str]:
    import docx as word
    from docx.table import Table

    for block in word.Document(_unpackable(document)).iter_inner_content():
        if isinstance(block, Table):
            for row in block.rows:
                yield " | ".join(cell.text.replace("\n", " ") for cell in row.cells) + "\n"
            yield "\n"
        elif block.text.strip():
            yield block.text + "\n\n"


def xlsx(document: bytes) -> Iterator[str]:
    import openpyxl

    cells = 0
    for sheet in openpyxl.load_workbook(_unpackable(document), read_only=True, data_only=True).worksheets:
        yield f"[Sheet {sheet.title}]\n"
        for row in sheet.iter_rows(values_only=True):
            cells += len(row)
            if cells > XLSX_CELLS:
                return
            values = ["" if value is None else str(value) for value in row]
            if any(values):
                yield "\t".join(values).rstrip("\t") + "\n"
        yield "\n"


def pptx(document: bytes) -> Iterator[str]:
    import pptx as powerpoint

    for number, slide in enumerate(powerpoint.Presentation(_unpackable(document)).slides, 1):
        yield f"[Slide {number}]\n"
        for shape in slide.shapes:
            if shape.has_text_frame and shape.text_frame.text.strip():
                yield shape.text_frame.text + "\n"
            if shape.has_table:
                for row in shape.table.rows:
                    yield " | ".join(cell.text for cell in row.cells) + "\n"
        if slide.has_notes_slide and slide.notes_slide.notes_text_frame is not None:
            yield f"[Notes] {slide.notes_slide.notes_text_frame.text}\n"
        yield "\n"


def _unpackable(document: bytes) -> io.BytesIO:
    file = io.BytesIO(document)
    with zipfile.ZipFile(file) as archive:
        if sum(member.file_size for member in archive.infolist()) > UNPACKED_BYTES:
            raise ValueError("it unpacks to too much")
    file.seek(0)
    return file


# By the last word of the media type.
READERS = {"pdf": pdf, "document": docx, "sheet": xlsx, "presentation": pptx}

if __name__ == "__main__":
    main()
