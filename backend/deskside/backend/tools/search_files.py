"""Files in a granted folder, found by their names and by what they say."""

from __future__ import annotations

import asyncio
import fnmatch
import os
import re
import stat
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Annotated

import msgspec

from deskside.backend.granted_files import FileRefused, GrantedFiles, Place
from deskside.backend.text_files import NotText, lines_of, read_text
from deskside.backend.tools.context import ToolContext
from deskside.backend.tools.declaration import BadArguments, ToolOutput, tool
from deskside.backend.tools.list_folder import one_line
from deskside.backend.tools.read_file import FilePath

TIME_LIMIT_S = 20.0
LOOKED_AT_LIMIT = 50_000  # files and folders
FILE_LIMIT_BYTES = 2_000_000  # a larger file is not searched for text
TEXT_LIMIT_BYTES = 500_000_000  # of all files together
DEPTH_LIMIT = 40
LINES_A_FILE = 5
LINE_LIMIT = 200  # characters around what was found
# Kept by programs, not written by people, and full of copies.
LEFT_OUT = {".git", ".hg", ".svn", "node_modules", "__pycache__", ".venv", ".cache"}


@tool(approval="never", time_limit_s=TIME_LIMIT_S + 10)
async def search_files(
    context: ToolContext,
    folder: FilePath,
    name: Annotated[str, msgspec.Meta(max_length=100)] = "",
    text: Annotated[str, msgspec.Meta(max_length=200)] = "",
    limit: Annotated[int, msgspec.Meta(ge=1, le=200)] = 50,
) -> ToolOutput:
    """Find files in a folder that the user granted, and in the folders inside it.

    `name` is a pattern such as "*.md" or "invoice*"; `text` is looked for in text files, not as a pattern.
    Give one of them or both; upper and lower case are the same. Answers with paths, and for `text` with the
    lines. Hidden copies of programs (.git, node_modules and the like) are left out.
    """
    if not name and not text:
        raise BadArguments("give a name pattern, a text, or both")
    files = GrantedFiles(context.settings.current.folders, context.paths)
    place = files.find(folder)
    stopped = threading.Event()
    search = _Search(files, name, text, limit, stopped.is_set)
    try:
        await asyncio.to_thread(search.look_in, place)
    finally:
        stopped.set()  # also when the call was cancelled: the thread then ends within a moment
    return ToolOutput(search.said(place), origin="file", source=str(place.path))


@dataclass
class _Search:
    """One search; it ends early at any limit, and `ended` says at which."""

    files: GrantedFiles
    name: str
    text: str
    limit: int
    is_stopped: Callable[[], bool]
    found: list[str] = field(default_factory=list)
    ended: str = ""
    _looked_at: int = 0
    _read_bytes: int = 0
    _until: float = field(default_factory=lambda: time.monotonic() + TIME_LIMIT_S)

    def __post_init__(self) -> None:
        pattern = self.name if any(mark in self.name for mark in "*?[") else f"*{self.name}*"
        self._matches = re.compile(fnmatch.translate(pattern.casefold())).match
        self._wanted = re.compile(re.escape(self.text), re.IGNORECASE)

    def look_in(self, top: Place) -> None:
        """Walk a folder, nearest first. Raises FileRefused where it cannot be opened itself."""
        waiting = [top]
        for place in waiting:  # grows while it is walked
            folders: list[Place] = []
            try:
                self._look_in_one(place, folders)
            except FileRefused:
                # One that may not be entered is no reason not to look in the others.
                if place is top:
                    raise
            waiting += sorted(folders, key=lambda each: each.names)
            if self.ended:
                return

    def _look_in_one(self, place: Place, folders: list[Place]) -> None:
        names: list[str] = []
        with self.files.open_folder(place) as folder:
            for entry in folder.entries():
                self._looked_at += 1
                if self._must_end():
                    break
                if entry.is_dir(follow_symlinks=False):
                    if entry.name not in LEFT_OUT and len(place.names) < DEPTH_LIMIT:
                        folders.append(Place(place.folder, (*place.names, entry.name)))
                elif entry.is_file(follow_symlinks=False) and self._matches(entry.name.casefold()):
                    names.append(entry.name)
        for name in sorted(names):
            if self._must_end():
                return
            self._look_at(Place(place.folder, (*place.names, name)))

    def _look_at(self, place: Place) -> None:
        shown = one_line(str(place.path))
        if not self.text:
            self.found.append(shown)
            return
        try:
            lines = self._lines_with_text(place)
        except (FileRefused, NotText):
            return
        if lines:
            self.found.append("\n".join([shown, *lines]))

    def _lines_with_text(self, place: Place) -> list[str]:
        with self.files.open_file(place) as descriptor:
            found = os.fstat(descriptor)
            if found.st_size > FILE_LIMIT_BYTES or not stat.S_ISREG(found.st_mode):
                return []
            with open(descriptor, "rb", closefd=False) as file:
                content = file.read(FILE_LIMIT_BYTES)
        self._read_bytes += len(content)
        text = read_text(content).text
        if not self._wanted.search(text):
            return []
        lines: list[str] = []
        for number, line in enumerate(lines_of(text), 1):
            at = self._wanted.search(line)
            if at is None:
                continue
            if len(lines) == LINES_A_FILE:
                return [*lines, "       …"]
            start = max(0, at.start() - LINE_LIMIT // 2)
            lines.append(f"{number:>6}\t{line[start : start + LINE_LIMIT].strip()}")
        return lines

    def _must_end(self) -> bool:
        if self.is_stopped():
            self.ended = "the search was stopped"
        elif len(self.found) >= self.limit:
            self.ended = f"only the first {self.limit} are shown"
        elif self._looked_at > LOOKED_AT_LIMIT:
            self.ended = f"only {LOOKED_AT_LIMIT:,} files and folders were looked at"
        elif self._read_bytes > TEXT_LIMIT_BYTES or time.monotonic() > self._until:
            self.ended = "there is too much to search all of it"
        return bool(self.ended)

    def said(self, place: Place) -> str:
        lines = self.found or [f"Nothing was found in {place.path}."]
        if self.ended:
            lines = [*lines, f"… {self.ended}; search in a folder inside, or for something narrower."]
        return "\n".join(lines)
