"""Signing in at a server: find out where, register there, open the browser, and wait for its answer.

The steps are the SDK's (RFC 9728 and 8414 for where, RFC 7591 for the registration, PKCE, RFC 9207). Each of
its requests passes through here first, because every address in it was chosen by the server.

Invariants
  - No address but the server's own is reached, and no page opened, that the user did not say yes to in a
    dialog that showed its host.
  - Only https, unless both the server and the address are on this machine; and no address of this machine, or
    of a network like the user's own, for a server that is not there itself.
  - What comes of it is returned, and kept nowhere here. No sentence holds a word of what was answered but an
    error's code.
"""

from __future__ import annotations

import asyncio
import ipaddress
import re
from collections.abc import Awaitable, Callable
from urllib.parse import SplitResult, parse_qs, urlsplit

import httpx2
from mcp.client.auth import OAuthClientProvider, OAuthFlowError, OAuthRegistrationError, OAuthTokenError
from mcp.shared.auth import AuthorizationCodeResult, OAuthClientInformationFull, OAuthToken
from mcp_types import LATEST_PROTOCOL_VERSION

from deskside.backend.mcp.failures import why
from deskside.backend.mcp.http import Answers, http_client
from deskside.backend.mcp.oauth import CHALLENGE, SignIn, client_metadata
from deskside.backend.mcp.proposal import Confirm
from deskside.backend.mcp.redirect import Redirect, listen_for_redirect
from deskside.backend.network.gate import Gate
from deskside.backend.network.purpose import purpose
from deskside.backend.visible import made_visible

# Of what is asked of a server.
ANSWER_S = 30.0
ERROR_CODE = re.compile(r"[a-z_]{1,40}")

OpenPage = Callable[[str], Awaitable[None]]
"""Opens a page in the user's own browser."""


class SignInFailed(Exception):
    """Nobody was signed in. The text is a sentence for the user."""


async def sign_in(
    name: str,
    url: str,
    challenge: str,
    confirm: Confirm,
    open_page: OpenPage,
    *,
    browser_s: float,
    gate: Gate | None = None,
) -> SignIn:
    """Let the user sign in at the server `name`, whose refusal came with `challenge` (its WWW-Authenticate).
    `browser_s` is how long the browser is waited for.

    Raises SignInFailed, Offline, and what `confirm` and `open_page` raise.
    """
    with purpose("mcp_sign_in", name):
        return await _sign_in(name, url, challenge, confirm, open_page, browser_s, gate or Gate())


async def _sign_in(
    name: str,
    url: str,
    challenge: str,
    confirm: Confirm,
    open_page: OpenPage,
    browser_s: float,
    gate: Gate,
) -> SignIn:
    addresses = _Addresses(name, url, confirm)
    async with (
        listen_for_redirect() as redirect,
        http_client(gate, {}, Answers(), silence_s=ANSWER_S) as client,
    ):

        async def go(page: str) -> None:
            await addresses.agree(page, is_page=True)
            redirect.expect(parse_qs(urlsplit(page).query).get("state", [""])[-1])
            await open_page(page)

        async def come_back() -> AuthorizationCodeResult:
            return await _answer(redirect, browser_s)

        provider = OAuthClientProvider(url, client_metadata(redirect.uri), _Nothing(), go, come_back)
        # Never sent: the refusal that the steps begin with has been seen already.
        request = httpx2.Request("POST", url, headers={"MCP-Protocol-Version": LATEST_PROTOCOL_VERSION})
        flow = provider.async_auth_flow(request)
        try:
            await anext(flow)
            headers = {CHALLENGE: challenge} if challenge else {}
            response = httpx2.Response(401, headers=headers, request=request)
            while (outgoing := await flow.asend(response)) is not request:
                await addresses.agree(str(outgoing.url))
                response = await client.send(outgoing)
                await response.aread()
        except OAuthRegistrationError as error:
            raise SignInFailed(_unregistered(provider)) from error
        except OAuthTokenError as error:
            raise SignInFailed(f"The sign-in was refused at its last step{_code(response)}.") from error
        except (OAuthFlowError, httpx2.InvalidURL, ValueError) as error:
            raise SignInFailed("What the server says about signing in does not fit together.") from error
        except (httpx2.HTTPError, httpx2.StreamError) as error:
            host = made_visible(outgoing.url.host)
            raise SignInFailed(f"{host}, where you sign in, could not be used. {why(error)}") from error
        finally:
            await flow.aclose()
        return SignIn.of(provider)


class _Nothing:
    """The SDK's storage for a provider that begins anew: the port of each sign-in is another one, so it has
    to register again."""

    async def get_tokens(self) -> OAuthToken | None:
        return None

    async def get_client_info(self) -> OAuthClientInformationFull | None:
        return None

    async def set_tokens(self, tokens: OAuthToken) -> None:
        pass

    async def set_client_info(self, client_info: OAuthClientInformationFull) -> None:
        pass


class _Addresses:
    """Which addresses the user agreed to, for one sign-in."""

    def __init__(self, name: str, url: str, confirm: Confirm) -> None:
        self._name = name
        self._server = urlsplit(url)
        self._confirm = confirm
        self._agreed: set[str] = set()

    async def agree(self, url: str, *, is_page: bool = False) -> None:
        """Return once the user has agreed to the host of `url`. Raises SignInFailed where they do not, or
        where it cannot be asked about."""
        parts = self._checked(url)
        origin = _origin(parts)
        if origin in self._agreed or (origin == _origin(self._server) and not is_page):
            return
        what = "sends you on from there to" if self._agreed else "wants you to sign in at"
        text = (
            f"The MCP server “{self._name}” ({made_visible(_origin(self._server))}) {what}:\n\n"
            f"{made_visible(origin)}\n\n"
            "Deskside reaches this address, and opens its pages in your browser. What you allow there, the "
            "server's tools may then do in your name.\n\n"
            "Say yes only if this is where you have your account."
        )
        if not await self._confirm(f"Sign in to “{self._name}”?", text, "Go on"):
            raise SignInFailed("You said no, so you are not signed in.")
        self._agreed.add(origin)

    def _checked(self, url: str) -> SplitResult:
        try:
            parts = urlsplit(url)
            host, _ = parts.hostname or "", parts.port
        except ValueError:
            parts, host = urlsplit(""), ""
        if not host or not url.isprintable() or parts.username is not None or set(url) & set(' <>\\"'):
            raise SignInFailed("The server names something to sign in at that is no address.")
        where = made_visible(_origin(parts))
        is_here = _is_loopback(host) and _is_loopback(self._server.hostname or "")
        if parts.scheme != "https" and not (parts.scheme == "http" and is_here):
            raise SignInFailed(
                f"The server wants you to sign in at {where}, which is not encrypted (https). Deskside does "
                "not do that."
            )
        if _is_internal(host) and not _is_internal(self._server.hostname or ""):
            raise SignInFailed(
                f"The server wants you to sign in at {where}, inside your own network. Deskside does not do "
                "that for a server that is outside."
            )
        return parts


async def _answer(redirect: Redirect, limit_s: float) -> AuthorizationCodeResult:
    try:
        async with asyncio.timeout(limit_s):
            query = await redirect.answer
    except TimeoutError:
        raise SignInFailed(f"Nothing came back from your browser in {limit_s / 60:g} minutes.") from None
    error = query.get("error", "")
    if error == "access_denied":
        raise SignInFailed("It was not allowed in the browser, so you are not signed in.")
    if error:
        known = f" ({error})" if ERROR_CODE.fullmatch(error) else ""
        raise SignInFailed(f"The sign-in was refused in the browser{known}.")
    return AuthorizationCodeResult(code=query.get("code", ""), state=query.get("state"), iss=query.get("iss"))


def _unregistered(provider: OAuthClientProvider) -> str:
    if provider.context.oauth_metadata is None:
        return "The server does not say where to sign in. It may want a token in a header instead."
    return (
        "The place to sign in takes only programs that were registered there by hand. The server may take a "
        "token in a header instead."
    )


def _code(response: httpx2.Response) -> str:
    """The error's code of an answer, where it has one."""
    try:
        code = response.json()["error"]
    except (ValueError, KeyError, TypeError):
        return ""
    return f" ({code})" if isinstance(code, str) and ERROR_CODE.fullmatch(code) else ""


def _origin(parts: SplitResult) -> str:
    """As it is shown; also what two addresses have in common."""
    port = "" if parts.port in (None, {"https": 443, "http": 80}.get(parts.scheme)) else f":{parts.port}"
    host = parts.hostname or ""
    return f"{parts.scheme}://{f'[{host}]' if ':' in host else host}{port}"


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _is_internal(host: str) -> bool:
    """Whether a host is by its spelling of this machine, or of a network that is not the public one. What a
    name resolves to is not asked: the user sees the name, and a company's servers are where they are."""
    try:
        return not ipaddress.ip_address(host).is_global
    except ValueError:
        return host == "localhost" or host.endswith(".localhost") or "." not in host
