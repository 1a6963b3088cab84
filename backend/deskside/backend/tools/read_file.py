"""The lines of a text file in a granted folder."""

from __future__ import annotations

import os
from typing import Annotated

import msgspec

from deskside.backend.granted_files import FileRefused, GrantedFiles
from deskside.backend.text_files import NotText, lines_of, read_text
from deskside.backend.tools.context import ToolContext
from deskside.backend.tools.declaration import ToolOutput, tool

FilePath = Annotated[str, msgspec.Meta(min_length=1, max_length=4096)]
LineNumber = Annotated[int, msgspec.Meta(ge=1, le=10_000_000)]

READ_LIMIT_BYTES = 10_000_000  # of the file's beginning; what is behind cannot be read
OUTPUT_LIMIT = 100_000  # characters, about 25k tokens
LINES_AT_ONCE = 2_000
LINE_LIMIT = 2_000  # characters; a minified file is one line


@tool(approval="never")
def read_file(
    context: ToolContext,
    path: FilePath,
    from_line: LineNumber = 1,
    line_count: Annotated[int, msgspec.Meta(ge=1, le=LINES_AT_ONCE)] = LINES_AT_ONCE,
) -> ToolOutput:
    """Read a text file in a folder that the user granted; its lines come back numbered.

    `path` is the whole path. A long file comes in pieces: the first line of the answer says which lines
    these are and how to go on. To see which folders and files there are use list_folder.
    """
    files = GrantedFiles(context.settings.current.folders, context.paths)
    place = files.find(path)
    with files.open_file(place) as descriptor:
        size_bytes = os.fstat(descriptor).st_size
        content = _read(descriptor)
    try:
        found = read_text(content, is_cut=len(content) < size_bytes)
    except NotText as error:
        raise FileRefused(f"{str(place.path)!r} is no text file ({size_bytes:,} bytes)") from error
    heading, lines = _piece(lines_of(found.text), from_line, line_count)
    if found.encoding not in ("utf-8", "utf-8-sig"):
        heading += f" The encoding seems to be {found.encoding}."
    if len(content) < size_bytes:
        heading += f" Only the first {READ_LIMIT_BYTES:,} of its {size_bytes:,} bytes can be read."
    text = "\n".join([f"{place.path}: {heading}", *lines])
    return ToolOutput(text, origin="file", source=str(place.path))


def _read(descriptor: int) -> bytes:
    with open(descriptor, "rb", closefd=False) as file:
        return file.read(READ_LIMIT_BYTES)


def _piece(lines: list[str], from_line: int, line_count: int) -> tuple[str, list[str]]:
    """What is shown of a file, and the numbered lines."""
    if not lines:
        return "the file is empty.", []
    if from_line > len(lines):
        return f"it has only {len(lines):,} lines.", []
    shown: list[str] = []
    room = OUTPUT_LIMIT
    for number, line in enumerate(lines[from_line - 1 : from_line - 1 + line_count], from_line):
        if len(line) > LINE_LIMIT:
            line = f"{line[:LINE_LIMIT]}… ({len(line) - LINE_LIMIT:,} more characters)"
        room -= len(line) + 8
        if room < 0 and shown:
            break
        shown.append(f"{number:>6}\t{line}")
    last = from_line + len(shown) - 1
    heading = f"lines {from_line:,} to {last:,} of {len(lines):,}."
    return heading + (f" Continue with from_line={last + 1}." if last < len(lines) else ""), shown
