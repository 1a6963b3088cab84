"""The child process that reads the text out of a document, makes a picture small, or draws a page of a PDF:
`python -P extract_worker.py`.

Its input is the document, after a line of JSON {"media_type", "longest", "page"}; it writes the text, or the
picture as JPEG in base64. Where `page` is a number, it writes a line with how many pages the PDF has, then
that page as PNG in base64, or nothing where there is no such page. It is a process of its own because a
document is written by anybody: a small one can unpack to gigabytes, and C code that fails takes its process
with it. It opens no file and no connection.

Stands alone: imports nothing of this program.
"""

from __future__ import annotations

import base64
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
# What providers make of a larger picture anyway, at most.
PICTURE_SIDE = 2_000  # pixels
# The longer side of a page: enough to read it by. A tiny page is not made larger than this many times.
PAGE_SIDE = 1_400  # pixels
PAGE_SCALE = 4


def main() -> None:
    limit_process()
    order = json.loads(sys.stdin.buffer.readline())
    document = sys.stdin.buffer.read()
    if order["page"] is None:
        pieces = READERS[order["media_type"].rsplit(".", 1)[-1].rsplit("/", 1)[-1]](document)
    else:
        pieces = pdf_page(document, order["page"])
    longest, written = order["longest"], 0
    for piece in pieces:
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


def pdf_page(document: bytes, number: int) -> Iterator[str]:
    import pypdfium2

    pages = pypdfium2.PdfDocument(document)
    yield f"{len(pages)}\n"
    if number > len(pages):
        return
    page = pages[number - 1]
    # Sides come from the file, and may be anything. Half a pixel less: what is left over becomes a whole one.
    scale = min((PAGE_SIDE - 0.5) / max(page.get_size()), PAGE_SCALE)
    file = io.BytesIO()
    page.render(scale=scale).to_pil().save(file, "PNG")
    yield base64.b64encode(file.getvalue()).decode("ascii")


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


def picture(document: bytes) -> Iterator[str]:
    from PIL import Image, ImageOps

    with Image.open(io.BytesIO(document)) as image:
        image.draft("RGB", (PICTURE_SIDE, PICTURE_SIDE))  # a JPEG of 100 megapixels is not unpacked whole
        upright = ImageOps.exif_transpose(image).convert("RGBA")
    upright.thumbnail((PICTURE_SIDE, PICTURE_SIDE))
    seen = Image.new("RGB", upright.size, "white")
    seen.paste(upright, mask=upright)
    file = io.BytesIO()
    seen.save(file, "JPEG", quality=85)
    yield base64.b64encode(file.getvalue()).decode("ascii")


# By the last word of the media type.
READERS = {
    "pdf": pdf, "document": docx, "sheet": xlsx, "presentation": pptx,
    "png": picture, "jpeg": picture, "gif": picture, "webp": picture,
}  # fmt: skip

if __name__ == "__main__":
    main()
