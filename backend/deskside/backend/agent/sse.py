"""Server-sent events out of a stream of bytes.

The rules are the HTML standard's (event stream interpretation): lines end in LF, CRLF or CR, `data`
lines of one event are joined with LF, a line that starts with a colon is a comment, and a blank line
ends the event. Only the data is kept: every provider repeats the event's name inside it.

Two things beyond the standard, both seen from local servers: a line that is bare JSON, or that has
the field `error`, counts as data (llama.cpp and proxies report errors so in the middle of a stream),
and a complete last event counts even if the blank line after it is missing.
"""

from __future__ import annotations

from deskside.backend.errors import StreamGarbled

EVENT_LIMIT_BYTES = 20_000_000  # a complete Responses object with long reasoning is about 1 MB


class EventSplitter:
    """Takes bytes in any pieces and gives the data of each complete event, as UTF-8 bytes."""

    def __init__(self, limit_bytes: int = EVENT_LIMIT_BYTES) -> None:
        self._buffer = bytearray()
        self._searched = 0
        self._ended_in_cr = False
        self._is_first = True
        self._limit_bytes = limit_bytes
        self.failure: StreamGarbled | None = None

    def feed(self, chunk: bytes) -> list[bytes]:
        """The data of every event that `chunk` completes, up to one that is not UTF-8.

        Raises StreamGarbled where an event is larger than the limit or the first is not UTF-8; `failure`
        says so where others came before it, which are not to be lost.
        """
        if b"\r" in chunk or self._ended_in_cr:
            chunk = self._with_plain_line_ends(chunk)
        buffer = self._buffer
        buffer += chunk
        found: list[bytes] = []
        start = 0
        end = buffer.find(b"\n\n", self._searched)
        while end != -1:
            try:
                data = self._data(bytes(buffer[start:end]))
            except StreamGarbled as error:
                if not found:
                    raise
                self.failure = error
                return found
            if data is not None:
                found.append(data)
            start = end + 2
            end = buffer.find(b"\n\n", start)
        if start:
            del buffer[:start]
        # The blank line may be cut in half, so the last byte is searched again.
        self._searched = max(len(buffer) - 1, 0)
        if len(buffer) > self._limit_bytes:
            raise StreamGarbled(f"The answer holds a single event of more than {self._limit_bytes:,} bytes.")
        return found

    def finish(self) -> list[bytes]:
        """The last event where only its blank line is missing. Half a line is thrown away."""
        rest = bytes(self._buffer)
        self._buffer.clear()
        if not rest.endswith(b"\n") and rest.rpartition(b"\n")[2] != b"data: [DONE]":
            return []
        data = self._data(rest)
        return [] if data is None else [data]

    def _with_plain_line_ends(self, chunk: bytes) -> bytes:
        if self._ended_in_cr and chunk.startswith(b"\n"):
            chunk = chunk[1:]
            self._ended_in_cr = False
            if b"\r" not in chunk:
                return chunk
        if chunk:
            self._ended_in_cr = chunk.endswith(b"\r")
        return chunk.replace(b"\r\n", b"\n").replace(b"\r", b"\n")

    def _data(self, block: bytes) -> bytes | None:
        if self._is_first:
            self._is_first = False
            block = block.removeprefix(b"\xef\xbb\xbf")
        if not block.isascii():
            _check_utf8(block)
        if block.startswith(b"data: ") and b"\n" not in block:
            return block[6:]
        lines = [data for line in block.split(b"\n") if (data := _line_data(line)) is not None]
        return b"\n".join(lines) if lines else None


def _line_data(line: bytes) -> bytes | None:
    if line.startswith(b"{"):
        return line
    field, colon, value = line.partition(b":")
    if field == b"data" or (field == b"error" and colon):
        return value.removeprefix(b" ")
    return None


def _check_utf8(block: bytes) -> None:
    try:
        block.decode()
    except UnicodeDecodeError:
        raise StreamGarbled("The answer holds bytes that are not text.") from None
