"""A text file in a granted folder, written so that it can be undone: see written_files.py."""

from __future__ import annotations

from typing import Annotated

import msgspec

from deskside.backend.tools.context import ToolContext
from deskside.backend.tools.declaration import Preview, tool
from deskside.backend.tools.read_file import FilePath
from deskside.backend.written_files import Call, Mode

Text = Annotated[str, msgspec.Meta(max_length=1_000_000)]


async def _preview(context: ToolContext, path: str, text: str, mode: Mode) -> Preview:
    return await context.files.preview(_call(context), path, text, mode)


@tool(approval="ask", effect="write", preview=_preview)
async def write_file(context: ToolContext, path: FilePath, text: Text, mode: Mode = "create") -> str:
    """Write a text file in a folder that the user granted for writing. The user can undo it.

    `path` is the whole path; missing folders are made. `mode` is "create" for a file that is not there yet,
    "replace" for new content in place of the old, or "append" to add at the end. Read a file before you
    replace it. Its encoding and line ends stay as they are.
    """
    change = await context.files.write(_call(context), path, text, mode)
    if change.after == change.before:
        return f"{change.place.path} holds exactly this already."
    return f"Wrote {change.place.path}: it has {len(change.after):,} bytes now."


def _call(context: ToolContext) -> Call:
    return Call(context.conversation_id, context.message_id, context.call_id)
