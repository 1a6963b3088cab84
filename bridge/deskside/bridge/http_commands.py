"""Commands over HTTP: `POST /rpc/<command>` answers what the page's socket would."""

from __future__ import annotations

from typing import Any

import msgspec
from litestar import Litestar, Request, Response, post
from litestar.exceptions import ClientException

from deskside.backend.errors import InvalidRequest
from deskside.backend.log import request_id
from deskside.bridge.registry import Bridge, Failure
from deskside.bridge.socket import FRAME_LIMIT_BYTES, read_request_id


class Reply(msgspec.Struct, frozen=True):
    """What `POST /rpc/<command>` answers when it worked."""

    data: msgspec.Raw
    requestId: str
    ok: bool = True


class FailedReply(msgspec.Struct, frozen=True):
    error: Failure
    ok: bool = False


class PlainLitestar(Litestar):
    """Litestar without the plugins it adds by itself: pydantic's alone take 60 ms of the first command, and
    our handler takes a request and returns bytes. Where a newer Litestar asks elsewhere, that time is all
    that is lost."""

    @staticmethod
    def _get_default_plugins(plugins: list[Any]) -> list[Any]:
        return plugins


def http_commands(bridge: Bridge) -> Litestar:
    """The ASGI application that answers them."""

    @post("/rpc/{command:str}", status_code=200)
    async def rpc(request: Request[Any, Any, Any]) -> Response[bytes]:
        command = request.path_params["command"]
        request_id.set(read_request_id(request.headers.get("x-request-id")))
        try:
            body = await request.body()
        except ClientException:
            result: msgspec.Raw | Failure = Failure.of(
                InvalidRequest("The message is too large.", hint="Send it in parts.")
            )
        else:
            result = await bridge.registry.dispatch(bridge, command, body)
        reply = FailedReply(result) if isinstance(result, Failure) else Reply(result, request_id.get())
        return Response(
            msgspec.json.encode(reply), media_type="application/json", headers={"cache-control": "no-store"}
        )

    return PlainLitestar(
        [rpc], openapi_config=None, logging_config=None, request_max_body_size=FRAME_LIMIT_BYTES
    )
