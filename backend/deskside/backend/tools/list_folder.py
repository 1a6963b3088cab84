"""What is in a granted folder."""

from __future__ import annotations

import os
import stat
from datetime import datetime
from typing import Annotated

import msgspec

from deskside.backend.granted_files import GrantedFiles, OpenFolder
from deskside.backend.tools.context import ToolContext
from deskside.backend.tools.declaration import ToolOutput, tool

FolderPath = Annotated[str, msgspec.Meta(max_length=4096)]

SHOWN_LIMIT = 500
LOOKED_AT_LIMIT = 20_000  # a folder can hold millions; sorting needs them all


@tool(approval="never")
def list_folder(context: ToolContext, path: FolderPath = "") -> ToolOutput:
    """List the files and folders in a folder that the user granted, or, without a path, the granted folders.

    Folders end in a slash; files come with their size and when they were changed.
    """
    files = GrantedFiles(context.settings.current.folders, context.paths)
    if not path:
        return ToolOutput(files.said())
    place = files.find(path)
    with files.open_folder(place) as folder:
        text = _listed(folder)
    return ToolOutput(f"{place.path}:\n{text}", origin="file", source=str(place.path))


def _listed(folder: OpenFolder) -> str:
    entries: list[os.DirEntry[str]] = []
    is_whole = True
    for entry in folder.entries():
        if len(entries) == LOOKED_AT_LIMIT:
            is_whole = False
            break
        entries.append(entry)
    entries.sort(key=lambda entry: (entry.name.casefold(), entry.name))
    lines = [_line(entry) for entry in entries[:SHOWN_LIMIT]]
    if len(entries) > SHOWN_LIMIT or not is_whole:
        there_are = f"{len(entries):,}" if is_whole else f"more than {LOOKED_AT_LIMIT:,}"
        lines.append(f"… {SHOWN_LIMIT} of {there_are} entries are shown; search_files finds others by name.")
    return "\n".join(lines) or "(empty)"


def _line(entry: os.DirEntry[str]) -> str:
    name = one_line(entry.name)
    try:
        found = entry.stat(follow_symlinks=False)
    except OSError:
        return name
    if stat.S_ISLNK(found.st_mode):
        return f"{name} (a link)"
    if stat.S_ISDIR(found.st_mode):
        return f"{name}/"
    if not stat.S_ISREG(found.st_mode):
        return f"{name} (no ordinary file)"
    return f"{name}  {found.st_size:,} bytes  {datetime.fromtimestamp(found.st_mtime):%Y-%m-%d %H:%M}"


def one_line(name: str) -> str:
    """A name as text that stays on its line: a file's name can hold line breaks, and bytes that are none."""
    shown = name.encode("utf-8", "replace").decode()
    return shown if shown.isprintable() else repr(shown)
