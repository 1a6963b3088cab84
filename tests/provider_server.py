"""A local server that speaks the providers' wire formats and misbehaves on request.

It asserts nothing: it plays what it was told to play and records what it was asked, so that tests can
look at the requests that were built. It is a peer for the e2e tests and the benches, too:

    python tests/provider_server.py --port 0 --chunks 200

prints one JSON line `{"openai_url": …, "anthropic_url": …}` and serves until its input closes or it is
ended. A test in another process scripts it by `POST /_script` with a JSON list of replies (the fields
of `Reply`, bodies as text) and reads `GET /_requests`.

Without a script it answers by itself, in the format that was asked for, with a sentence that repeats
the user's last words. With `--tool-steps 10` it first asks ten times, step by step, for the tool
`calculate`.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import socket
import sys
import threading
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from types import TracebackType
from typing import Any, Self

RECORDINGS = Path(__file__).parent / "recordings"
TCP_REPAIR = 19  # Linux: what is closed so tells nobody


@dataclass
class Reply:
    """One answer.

    `body` is sent in pieces of `piece_bytes` (0: one piece an event) with `delay_s` between them. After
    `cut_after` bytes the connection is reset; after `hang_after` bytes nothing more is sent until the
    other side goes away or `ProviderServer.release` is called; with `is_silent` that is before the head. A
    cut that is further on comes then. With `then_close` the connection is closed unannounced once the next
    request arrives on it. `status` 0 hangs up without an answer.
    """

    body: bytes = b""
    status: int = 200
    content_type: str = "text/event-stream"
    headers: dict[str, str] = field(default_factory=dict)
    piece_bytes: int | None = None
    delay_s: float = 0.0
    then_close: bool = False
    cut_after: int | None = None
    hang_after: int | None = None
    is_silent: bool = False


def recording(name: str, **changes: Any) -> Reply:
    """The stream of tests/recordings/<name>.sse."""
    return Reply((RECORDINGS / f"{name}.sse").read_bytes(), **changes)


def error_reply(status: int, body: Any, **headers: str) -> Reply:
    """An HTTP error with a JSON body. Underscores in header names become hyphens."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Reply(json.dumps(body).encode(), status, "application/json", named)


@dataclass
class Request:
    """A request as it came. `gone` is set once the other side closed before the answer was complete."""

    method: str
    path: str
    query: str
    headers: dict[str, str]
    body: bytes
    gone: threading.Event = field(default_factory=threading.Event)

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class ProviderServer:
    """`with ProviderServer() as server:` — runs in a thread of its own, so any test can use it."""

    def __init__(
        self,
        port: int = 0,
        *,
        host: str = "127.0.0.1",
        chunks: int | None = None,
        chunk_delay_s: float = 0.0,
        tool_steps: int = 0,
    ) -> None:
        self.requests: list[Request] = []
        self.models: list[dict[str, Any]] = [{"id": "local-model", "object": "model", "owned_by": "library"}]
        self.connections = 0
        self._host = host
        self._port = port
        self._chunks = chunks
        self._chunk_delay_s = chunk_delay_s
        self._tool_steps = tool_steps
        self._replies: deque[Reply] = deque()
        self._routes: dict[str, Reply] = {}
        self._ready = threading.Event()
        self._asked = threading.Event()

    # -- for tests --

    @property
    def url(self) -> str:
        return f"http://{self._host}:{self._port}"

    @property
    def openai_url(self) -> str:
        return f"{self.url}/v1"

    @property
    def anthropic_url(self) -> str:
        return self.url

    @property
    def port(self) -> int:
        return self._port

    def script(self, *replies: Reply) -> None:
        """Answer the next POST requests so, in this order; then by itself again."""
        self._replies.extend(replies)

    def route(self, path: str, reply: Reply) -> None:
        """Always answer this path (or path and query) so, before anything scripted."""
        self._routes[path] = reply

    def wait_until_asked(self, timeout_s: float = 10.0) -> bool:
        """Block until the first request has come."""
        return self._asked.wait(timeout_s)

    def release(self) -> None:
        """Let every reply that hangs go on."""
        self._loop.call_soon_threadsafe(self._released.set)

    def vanish(self) -> None:
        """Forget every connection, without a word to the other side: as a machine that was restarted. Needs
        to be root, or to be in a network of one's own (wire.py)."""

        def forget() -> None:
            for connection in tuple(self._open):
                connection.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, TCP_REPAIR, 1)
                connection.abort()  # type: ignore[attr-defined]

        self._loop.call_soon_threadsafe(forget)

    # -- the server --

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        self._ready.wait(10)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(10)

    def _run(self) -> None:
        asyncio.run(self._serve())

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._stop = asyncio.Event()
        self._released = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        listener = socket.create_server((self._host, self._port))
        self._port = listener.getsockname()[1]
        self._open = open_connections = set[asyncio.BaseTransport]()
        server = await self._loop.create_server(
            lambda: _Connection(open_connections, _Reader(), self._connected), sock=listener
        )
        self._ready.set()
        await self._stop.wait()
        server.close()
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        # Also one whose task had no turn yet, and one whose other side does not read.
        for connection in tuple(open_connections):
            connection.abort()  # type: ignore[attr-defined]
        while open_connections:
            await asyncio.sleep(0)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        assert isinstance(reader, _Reader)
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self.connections += 1
        try:
            while (request := await _read_request(reader)) is not None:
                if not await self._answer(request, reader, writer):
                    return
        except (ConnectionError, asyncio.IncompleteReadError):
            return
        finally:
            self._tasks.discard(task)
            writer.close()

    async def _answer(self, request: Request, reader: _Reader, writer: asyncio.StreamWriter) -> bool:
        """True where the connection can take another request."""
        if request.path == "/_script":
            self._replies.extend(_reply(entry) for entry in request.json)
            return await self._send(Reply(b"{}", content_type="application/json"), request, reader, writer)
        if request.path == "/_requests":
            seen = [{"path": each.path, "body": each.body.decode()} for each in self.requests]
            return await self._send(
                Reply(json.dumps(seen).encode(), content_type="application/json"), request, reader, writer
            )
        self.requests.append(request)
        self._asked.set()
        reply = self._choose(request)
        if not reply.status:
            return False
        is_open = await self._send(reply, request, reader, writer)
        if reply.then_close:
            await _read_request(reader)
            return False
        return is_open

    def _choose(self, request: Request) -> Reply:
        for target in (f"{request.path}?{request.query}", request.path):
            if target in self._routes:
                return self._routes[target]
        if request.method == "GET":
            return self._listing(request)
        if self._replies:
            return self._replies.popleft()
        words, call = self._words(request), self._call(request)
        for suffix, make in (
            ("/chat/completions", chat_stream),
            ("/responses", responses_stream),
            ("/messages", messages_stream),
        ):
            if request.path.endswith(suffix):
                body = b"".join(make(words, *([call] if call else [])))
                # One piece an event, so that a delay is a delay between chunks.
                return Reply(
                    body, delay_s=self._chunk_delay_s, piece_bytes=0 if self._chunk_delay_s else None
                )
        return error_reply(404, {"error": {"message": f"Unknown request URL: {request.path}"}})

    def _words(self, request: Request) -> list[str]:
        if self._chunks is not None:
            return [f"word{number} " for number in range(self._chunks)]
        return [f"{word} " for word in f"You said: {_last_words(request.json)}".split()]

    def _call(self, request: Request) -> ToolCall | None:
        """The next tool to ask for, while results are missing."""
        if not self._tool_steps:
            return None
        done = _results_of_tools(request.json)
        if done >= self._tool_steps:
            return None
        expression = f"{done + 1} * 2 + {done}"
        return ToolCall(f"call_{done}", "calculate", json.dumps({"expression": expression}))

    def _listing(self, request: Request) -> Reply:
        if request.path.endswith("/models"):
            listing: Any = {"object": "list", "data": self.models, "has_more": False}
        elif request.path == "/api/tags":
            listing = {"models": [{"name": model["id"]} for model in self.models]}
        else:
            return error_reply(404, {"error": {"message": f"Unknown request URL: {request.path}"}})
        return Reply(json.dumps(listing).encode(), content_type="application/json")

    async def _send(
        self, reply: Reply, request: Request, reader: _Reader, writer: asyncio.StreamWriter
    ) -> bool:
        watch = asyncio.create_task(_note_when_gone(reader, request))
        try:
            if reply.is_silent and not await self._is_released(watch):
                return False
            head = f"HTTP/1.1 {reply.status} X\r\ncontent-type: {reply.content_type}\r\n"
            head += "".join(f"{name}: {value}\r\n" for name, value in reply.headers.items())
            writer.write(f"{head}transfer-encoding: chunked\r\n\r\n".encode())
            sent = 0
            for piece in _pieces(reply):
                writer.write(b"%x\r\n%s\r\n" % (len(piece), piece))
                sent += len(piece)
                if reply.delay_s:
                    await writer.drain()
                    await asyncio.sleep(reply.delay_s)
            await writer.drain()
            is_cut = reply.cut_after is not None and len(reply.body) >= reply.cut_after
            if reply.hang_after is not None and (not is_cut or sent >= reply.hang_after):
                if not await self._is_released(watch):
                    return False
                rest = reply.body[reply.hang_after : reply.cut_after]
                writer.write(b"%x\r\n%s\r\n" % (len(rest), rest) if rest else b"")
                await writer.drain()
            if is_cut:
                writer.transport.abort()
                return False
            writer.write(b"0\r\n\r\n")
            await writer.drain()
            return not request.gone.is_set()
        except ConnectionError:
            request.gone.set()
            raise
        finally:
            watch.cancel()
            await asyncio.gather(watch, return_exceptions=True)
            if reader.gone.is_set():  # before the watch had its turn
                request.gone.set()

    async def _is_released(self, watch: asyncio.Task[None]) -> bool:
        """Hang. False once the other side has gone."""
        released = asyncio.create_task(self._released.wait())
        await asyncio.wait({released, watch}, return_when=asyncio.FIRST_COMPLETED)
        released.cancel()
        return not watch.done()


def _pieces(reply: Reply) -> Iterator[bytes]:
    stops = [stop for stop in (reply.cut_after, reply.hang_after) if stop is not None]
    body = reply.body[: min(stops)] if stops else reply.body
    if reply.piece_bytes == 0:
        yield from (event + b"\n\n" for event in body.split(b"\n\n") if event)
    elif reply.piece_bytes is None:
        yield from [body] if body else []
    else:
        yield from (
            body[start : start + reply.piece_bytes] for start in range(0, len(body), reply.piece_bytes)
        )


def _reply(entry: dict[str, Any]) -> Reply:
    if "recording" in entry:
        return recording(entry.pop("recording"), **entry)
    known = {each.name for each in fields(Reply)}
    values = {name: value for name, value in entry.items() if name in known}
    return Reply(**{**values, "body": values.get("body", "").encode()})


async def _read_request(reader: asyncio.StreamReader) -> Request | None:
    try:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    except asyncio.IncompleteReadError:
        return None
    first, *lines = head.rstrip().split("\r\n")
    method, target, _ = first.split(" ")
    headers = {
        name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)
    }
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    path, _, query = target.partition("?")
    return Request(method, path, query, headers, body)


class _Connection(asyncio.StreamReaderProtocol):
    """Is among the open ones for as long as it is open."""

    def __init__(
        self, open_connections: set[asyncio.BaseTransport], reader: asyncio.StreamReader, connected: Any
    ) -> None:
        super().__init__(reader, connected)
        self._open_connections = open_connections
        self._connection: asyncio.BaseTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._connection = transport
        self._open_connections.add(transport)
        super().connection_made(transport)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._connection is not None:
            self._open_connections.discard(self._connection)
        super().connection_lost(exc)


class _Reader(asyncio.StreamReader):
    """A reader that can be asked whether the other side has gone, without reading."""

    def __init__(self) -> None:
        super().__init__(limit=2**24)
        self.gone = asyncio.Event()

    def feed_eof(self) -> None:
        super().feed_eof()
        self.gone.set()

    def set_exception(self, exc: Exception) -> None:
        super().set_exception(exc)
        self.gone.set()


async def _note_when_gone(reader: _Reader, request: Request) -> None:
    await reader.gone.wait()
    request.gone.set()


def _last_words(body: Any) -> str:
    """The text of the user's last message, in any of the three formats."""
    for message in reversed(body.get("messages") or body.get("input") or []):
        content = message.get("content")
        if message.get("role") == "user" and isinstance(content, str):
            return content
        if message.get("role") == "user" and isinstance(content, list):
            texts = [part["text"] for part in content if "text" in part]
            if texts:
                return str(texts[-1])
    return "nothing"


def _results_of_tools(body: Any) -> int:
    """How many a request's history holds behind the user's last words, in any of the three formats."""
    results = 0
    for message in reversed(body.get("messages") or body.get("input") or []):
        content = message.get("content")
        blocks = content if isinstance(content, list) else []
        found = sum(block.get("type") == "tool_result" for block in blocks)
        if message.get("role") == "tool" or message.get("type") == "function_call_output":
            found = 1
        if message.get("role") == "user" and not found:
            break
        results += found
    return results


# -- made-up streams ----------------------------------------------------------------------------


def _event(data: Any, name: str = "") -> bytes:
    line = f"event: {name}\n" if name else ""
    return f"{line}data: {json.dumps(data, separators=(',', ':'))}\n\n".encode()


@dataclass(frozen=True)
class ToolCall:
    """What a made-up stream asks for behind its words. `arguments` is JSON text, sent in small pieces."""

    id: str
    name: str
    arguments: str

    def pieces(self) -> Iterator[str]:
        return (self.arguments[start : start + 4] for start in range(0, len(self.arguments), 4))


def chat_stream(words: list[str], *calls: ToolCall, reasoning: Sequence[str] = ()) -> Iterator[bytes]:
    def chunk(choices: list[Any], usage: Any = None) -> bytes:
        return _event(
            {
                "id": "chatcmpl-B9MHDbslfkBeAs8l4bebGdFOJ6PeG",
                "object": "chat.completion.chunk",
                "created": 1741570283,
                "model": "gpt-4.1-2025-04-14",
                "service_tier": "default",
                "system_fingerprint": "fp_fc9f1d7035",
                "choices": choices,
                "usage": usage,
                "obfuscation": "k3Jw",
            }
        )

    def choice(delta: Any, reason: str | None = None) -> list[Any]:
        return [{"index": 0, "delta": delta, "logprobs": None, "finish_reason": reason}]

    yield chunk(choice({"role": "assistant", "content": "", "refusal": None}))
    for thought in reasoning:
        yield chunk(choice({"reasoning_content": thought}))
    for word in words:
        yield chunk(choice({"content": word}))
    for index, call in enumerate(calls):
        function = {"name": call.name, "arguments": ""}
        first = {"index": index, "id": call.id, "type": "function", "function": function}
        yield chunk(choice({"tool_calls": [first]}))
        for piece in call.pieces():
            yield chunk(choice({"tool_calls": [{"index": index, "function": {"arguments": piece}}]}))
    yield chunk(choice({}, "tool_calls" if calls else "stop"))
    tokens = len(reasoning) + len(words)
    details = {"completion_tokens_details": {"reasoning_tokens": len(reasoning)}} if reasoning else {}
    usage = {"prompt_tokens": 19, "completion_tokens": tokens, "total_tokens": 19 + tokens, **details}
    yield chunk([], usage)
    yield b"data: [DONE]\n\n"


def responses_stream(words: list[str], *calls: ToolCall, reasoning: Sequence[str] = ()) -> Iterator[bytes]:
    item_id = "msg_67c9fdcf37fc8190ba82116e33fb28c507b8b0ad4e5eb654"
    number = 0
    output: list[Any] = []

    def event(kind: str, **values: Any) -> bytes:
        nonlocal number
        number += 1
        return _event({"type": kind, "sequence_number": number - 1, **values}, kind)

    def response(status: str, output: list[Any], usage: Any) -> dict[str, Any]:
        return {
            "id": "resp_67c9fdcecf488190bdd9a0409de3a1ec07b8b0ad4e5eb654",
            "object": "response",
            "created_at": 1741290958,
            "status": status,
            "error": None,
            "incomplete_details": None,
            "instructions": None,
            "model": "gpt-5.4",
            "output": output,
            "parallel_tool_calls": True,
            "tool_choice": "auto",
            "tools": [],
            "usage": usage,
            "metadata": {},
        }

    def added(item: dict[str, Any]) -> bytes:
        return event("response.output_item.added", output_index=len(output), item=item)

    def done(item: dict[str, Any]) -> bytes:
        output.append(item)
        return event("response.output_item.done", output_index=len(output) - 1, item=item)

    def message(status: str, content: list[Any]) -> dict[str, Any]:
        return {"id": item_id, "type": "message", "status": status, "role": "assistant", "content": content}

    yield event("response.created", response=response("in_progress", [], None))
    yield event("response.in_progress", response=response("in_progress", [], None))
    if reasoning:
        thoughts: dict[str, Any] = {"id": "rs_67c9", "type": "reasoning", "summary": []}
        at = {"item_id": "rs_67c9", "output_index": 0, "summary_index": 0}
        summary = {"type": "summary_text", "text": "".join(reasoning)}
        yield added(thoughts)
        yield event("response.reasoning_summary_part.added", **at, part={**summary, "text": ""})
        for thought in reasoning:
            yield event("response.reasoning_summary_text.delta", **at, delta=thought)
        yield event("response.reasoning_summary_text.done", **at, text=summary["text"])
        yield event("response.reasoning_summary_part.done", **at, part=summary)
        yield done({**thoughts, "summary": [summary], "encrypted_content": "gAAAAABo8MGj"})
    if words:
        text = "".join(words)
        part = {"type": "output_text", "text": text, "annotations": []}
        at = {"item_id": item_id, "output_index": len(output), "content_index": 0}
        yield added(message("in_progress", []))
        yield event("response.content_part.added", **at, part={**part, "text": ""})
        for word in words:
            yield event("response.output_text.delta", **at, delta=word, logprobs=[], obfuscation="k3Jw")
        yield event("response.output_text.done", **at, text=text, logprobs=[])
        yield event("response.content_part.done", **at, part=part)
        yield done(message("completed", [part]))
    for call in calls:
        asked = {"id": f"fc_{call.id}", "type": "function_call", "call_id": call.id, "name": call.name}
        at = {"item_id": asked["id"], "output_index": len(output)}
        yield added({**asked, "status": "in_progress", "arguments": ""})
        for piece in call.pieces():
            yield event("response.function_call_arguments.delta", **at, delta=piece, obfuscation="k3Jw")
        yield event("response.function_call_arguments.done", **at, arguments=call.arguments)
        yield done({**asked, "status": "completed", "arguments": call.arguments})
    tokens = len(reasoning) + len(words)
    usage = {
        "input_tokens": 19,
        "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
        "output_tokens": tokens,
        "output_tokens_details": {"reasoning_tokens": len(reasoning)},
        "total_tokens": 19 + tokens,
    }
    yield event("response.completed", response=response("completed", output, usage))


def messages_stream(words: list[str], *calls: ToolCall, reasoning: Sequence[str] = ()) -> Iterator[bytes]:
    index = -1

    def event(kind: str, **values: Any) -> bytes:
        return _event({"type": kind, **values}, kind)

    def block(deltas: Iterable[dict[str, str]], **started: Any) -> Iterator[bytes]:
        nonlocal index
        index += 1
        yield event("content_block_start", index=index, content_block=started)
        for delta in deltas:
            yield event("content_block_delta", index=index, delta=delta)
        yield event("content_block_stop", index=index)

    yield event(
        "message_start",
        message={
            "id": "msg_014p7gG3wDgGV9EUtLvnow3U",
            "type": "message",
            "role": "assistant",
            "model": "claude-sonnet-5-5",
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
            "usage": {
                "input_tokens": 19,
                "cache_creation_input_tokens": 0,
                "cache_read_input_tokens": 0,
                "output_tokens": 1,
            },
        },
    )
    yield event("ping")
    if reasoning:
        thoughts = [{"type": "thinking_delta", "thinking": thought} for thought in reasoning]
        signature = {"type": "signature_delta", "signature": "EqQBCgIYAhIM"}
        yield from block([*thoughts, signature], type="thinking", thinking="", signature="")
    if words:
        said = ({"type": "text_delta", "text": word} for word in words)
        yield from block(said, type="text", text="")
    for call in calls:
        written = ({"type": "input_json_delta", "partial_json": piece} for piece in call.pieces())
        yield from block(written, type="tool_use", id=call.id, name=call.name, input={})
    tokens = {"output_tokens": len(reasoning) + len(words)}
    details = {"output_tokens_details": {"thinking_tokens": len(reasoning)}} if reasoning else {}
    yield event(
        "message_delta",
        delta={"stop_reason": "tool_use" if calls else "end_turn", "stop_sequence": None},
        usage={**tokens, **details},
    )
    yield event("message_stop")


def main() -> None:
    parser = argparse.ArgumentParser(description="Play a provider of models on this machine.")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--chunks", type=int, default=None, help="answer with this many chunks")
    parser.add_argument("--chunk-delay-s", type=float, default=0.0)
    parser.add_argument("--tool-steps", type=int, default=0, help="ask so often for a tool before the answer")
    options = parser.parse_args()
    with ProviderServer(
        options.port,
        chunks=options.chunks,
        chunk_delay_s=options.chunk_delay_s,
        tool_steps=options.tool_steps,
    ) as server:
        print(
            json.dumps({"openai_url": server.openai_url, "anthropic_url": server.anthropic_url}), flush=True
        )
        sys.stdin.read()


if __name__ == "__main__":
    main()
