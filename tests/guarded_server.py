"""An MCP server that wants its users to sign in, and the authorization server where they do: two addresses of
this machine, both made with the official SDK."""

from __future__ import annotations

import asyncio
import secrets
import threading
import time
from collections import deque
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx2
import uvicorn
from mcp.server.auth.provider import (
    AccessToken,
    AuthorizationCode,
    AuthorizationParams,
    AuthorizeError,
    RefreshToken,
    construct_redirect_uri,
)
from mcp.server.auth.routes import create_auth_routes
from mcp.server.auth.settings import AuthSettings, ClientRegistrationOptions
from mcp.server.mcpserver import MCPServer
from mcp.shared.auth import OAuthClientInformationFull, OAuthToken
from pydantic import AnyHttpUrl
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from mcp_parts import free_port

# Longer than a keychain's entry.
LONG = "x" * 3_000
CANARY = "canary-"
"""What every secret of these servers begins with."""
HOUR_S = 3_600
LIMIT_S = 20.0

Answers = Callable[[Request], Awaitable[Response]]


@dataclass
class Guard:
    """The authorization server: what it gave to whom, and what it is told to do.

    `lifetimes_s` are of the tokens that it gives, in turn; later ones live for an hour. `is_denying` is a
    user who says no. `presented` are the tokens that requests came with. `clients_need_secrets` makes it give
    every client a secret.
    """

    address: str
    server: str
    lifetimes_s: deque[int] = field(default_factory=deque)
    is_denying: bool = False
    clients_need_secrets: bool = False
    refuses_renewals: bool = False
    clients: dict[str, OAuthClientInformationFull] = field(default_factory=dict)
    codes: dict[str, AuthorizationCode] = field(default_factory=dict)
    access: dict[str, AccessToken] = field(default_factory=dict)
    renewals: dict[str, RefreshToken] = field(default_factory=dict)
    presented: set[str] = field(default_factory=set)
    renewed: int = 0

    def revoke_access(self) -> None:
        """No token that was given opens anything any more."""
        self.access.clear()

    async def get_client(self, client_id: str) -> OAuthClientInformationFull | None:
        return self.clients.get(client_id)

    async def register_client(self, client_info: OAuthClientInformationFull) -> None:
        if self.clients_need_secrets:
            client_info.token_endpoint_auth_method = "client_secret_post"
            client_info.client_secret = CANARY + secrets.token_hex(16)
        self.clients[client_info.client_id] = client_info

    async def authorize(self, client: OAuthClientInformationFull, params: AuthorizationParams) -> str:
        if self.is_denying:
            raise AuthorizeError("access_denied", "Not for you \u200b.")
        code = CANARY + secrets.token_hex(16)
        self.codes[code] = AuthorizationCode(
            code=code,
            scopes=params.scopes or [],
            expires_at=time.time() + HOUR_S,
            client_id=client.client_id,
            code_challenge=params.code_challenge,
            redirect_uri=params.redirect_uri,
            redirect_uri_provided_explicitly=params.redirect_uri_provided_explicitly,
            resource=params.resource,
        )
        return construct_redirect_uri(str(params.redirect_uri), code=code, state=params.state)

    async def load_authorization_code(
        self, client: OAuthClientInformationFull, authorization_code: str
    ) -> AuthorizationCode | None:
        return self.codes.get(authorization_code)

    async def exchange_authorization_code(
        self, client: OAuthClientInformationFull, authorization_code: AuthorizationCode
    ) -> OAuthToken:
        del self.codes[authorization_code.code]
        return self._tokens(client, authorization_code.scopes, authorization_code.resource)

    async def load_refresh_token(
        self, client: OAuthClientInformationFull, refresh_token: str
    ) -> RefreshToken | None:
        return None if self.refuses_renewals else self.renewals.get(refresh_token)

    async def exchange_refresh_token(
        self, client: OAuthClientInformationFull, refresh_token: RefreshToken, scopes: list[str]
    ) -> OAuthToken:
        del self.renewals[refresh_token.token]
        self.renewed += 1
        return self._tokens(client, scopes, refresh_token.resource)

    async def load_access_token(self, token: str) -> AccessToken | None:
        return self.access.get(token)

    async def verify_token(self, token: str) -> AccessToken | None:
        """What the MCP server asks."""
        self.presented.add(token)
        return self.access.get(token)

    async def exchange_identity_assertion(self, client: Any, params: Any) -> OAuthToken:
        raise NotImplementedError

    async def revoke_token(self, token: AccessToken | RefreshToken) -> None:
        raise NotImplementedError

    def _tokens(
        self, client: OAuthClientInformationFull, scopes: list[str], resource: str | None
    ) -> OAuthToken:
        lifetime_s = self.lifetimes_s.popleft() if self.lifetimes_s else HOUR_S
        access, renewal = (f"{CANARY}{secrets.token_hex(16)}{LONG}" for _ in range(2))
        expires_at = int(time.time()) + lifetime_s
        self.access[access] = AccessToken(
            token=access, client_id=client.client_id, scopes=scopes, expires_at=expires_at, resource=resource
        )
        self.renewals[renewal] = RefreshToken(
            token=renewal, client_id=client.client_id, scopes=scopes, resource=resource
        )
        return OAuthToken(access_token=access, refresh_token=renewal, expires_in=lifetime_s)


@contextmanager
def guarded_server() -> Iterator[Guard]:
    """Both servers, listening: `server` is the address of the one for MCP."""
    issuer = f"http://127.0.0.1:{free_port()}"
    server = f"http://127.0.0.1:{free_port()}/mcp"
    guard = Guard(issuer, server)
    registration = ClientRegistrationOptions(enabled=True)
    door = Starlette(
        routes=create_auth_routes(guard, AnyHttpUrl(issuer), client_registration_options=registration)
    )
    settings = AuthSettings(
        issuer_url=AnyHttpUrl(issuer), resource_server_url=AnyHttpUrl(server), validate_token_resource=True
    )
    inside = MCPServer("guarded", auth=settings, token_verifier=guard)

    @inside.tool()
    def add(a: int, b: int) -> int:
        """Add two numbers."""
        return a + b

    with serving(door, issuer), serving(inside.streamable_http_app(), server):
        yield guard


@contextmanager
def refusing_server(
    challenge: Callable[[str], str], answers: dict[str, Answers] | None = None
) -> Iterator[str]:
    """A server that refuses every request to /mcp with `challenge`, which is made from its origin, and has
    `answers` at other paths. Gives its address."""
    origin = f"http://127.0.0.1:{free_port()}"

    async def refuse(request: Request) -> Response:
        return Response(status_code=401, headers={"WWW-Authenticate": challenge(origin)})

    routes = [Route(path, answer, methods=["GET", "POST"]) for path, answer in (answers or {}).items()]
    app = Starlette(routes=[Route("/mcp", refuse, methods=["GET", "POST", "DELETE"]), *routes])
    with serving(app, origin):
        yield f"{origin}/mcp"


@contextmanager
def serving(app: Starlette, address: str) -> Iterator[None]:
    """Serve an app on a thread of its own until the block ends."""
    port = httpx2.URL(address).port
    assert port is not None
    config = uvicorn.Config(app, "127.0.0.1", port, log_config=None, ws="none", timeout_graceful_shutdown=1)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=asyncio.run, args=(server.serve(),), daemon=True)
    thread.start()
    try:
        give_up_s = time.monotonic() + LIMIT_S
        while not server.started:
            assert time.monotonic() < give_up_s, "the server did not start"
            time.sleep(0.01)  # another thread's state, which tells nobody
        yield
    finally:
        server.should_exit = True
        thread.join(LIMIT_S)


class Browser:
    """The user's browser, and the user: opens a page and goes where it leads."""

    def __init__(self) -> None:
        self.pages: list[str] = []
        self.shown: list[str] = []

    async def open(self, page: str) -> None:
        self.pages.append(page)
        await self.follow(await self.redirect(page))

    async def redirect(self, page: str) -> str:
        """Where the page sends the browser back to."""
        async with httpx2.AsyncClient() as client:
            return (await client.get(page)).headers["location"]

    async def follow(self, address: str) -> int:
        """Go there, and return the status."""
        async with httpx2.AsyncClient() as client:
            response = await client.get(address)
        self.shown.append(response.text)
        return response.status_code
