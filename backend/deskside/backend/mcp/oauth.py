"""What came of signing in at a server, and every request with it: OAuth 2.1, by the SDK.

The SDK's provider would do all of it in the middle of any request: find out where to sign in, register, open
a browser and wait. Here it renews tokens, and nothing else: where that does not help, the session ends and
the user is asked to sign in (sign_in.py). Nor does the provider carry every request itself: it has one at a
time until its answer begins, which can take as long as a tool does.
"""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping

import httpx2
from mcp.client.auth import OAuthClientProvider
from mcp.shared.auth import (
    OAuthClientInformationFull,
    OAuthClientMetadata,
    OAuthMetadata,
    OAuthToken,
    ProtectedResourceMetadata,
)
from pydantic import AnyUrl, BaseModel

CHALLENGE = "WWW-Authenticate"
# As the SDK's provider has it: any moment that is over. 0 means "never" there.
LONG_AGO_S = 1.0

_KEPT: Mapping[str, bool | set[str]] = {
    "url": True,
    "tokens": True,
    "expires_s": True,
    "client": {"client_id", "client_secret", "token_endpoint_auth_method", "issuer"},
    "authorization_server": {"issuer", "authorization_endpoint", "token_endpoint"},
    "resource": {"resource", "authorization_servers"},
}


class SignIn(BaseModel):
    """Everything that came of a sign-in at the server `url`; secret as a whole. `expires_s` is in seconds
    since 1970, and None where the server does not say. `authorization_server` and `resource` say where tokens
    are renewed, and for what."""

    url: str
    tokens: OAuthToken
    client: OAuthClientInformationFull
    expires_s: float | None = None
    authorization_server: OAuthMetadata | None = None
    resource: ProtectedResourceMetadata | None = None

    @classmethod
    def of(cls, provider: OAuthClientProvider) -> SignIn:
        """What a provider has by now."""
        context = provider.context
        assert context.current_tokens is not None
        assert context.client_info is not None
        return cls(
            url=context.server_url,
            tokens=context.current_tokens,
            client=context.client_info,
            expires_s=context.token_expiry_time,
            authorization_server=context.oauth_metadata,
            resource=context.protected_resource_metadata,
        )

    def as_text(self) -> str:
        """ASCII, for the keychain: what is needed to renew the tokens, and not all that was said."""
        return json.dumps(self.model_dump(mode="json", exclude_none=True, include=_KEPT))


def client_metadata(redirect_uri: str) -> OAuthClientMetadata:
    """What Deskside says about itself: a program on somebody's machine, which can keep no secret of its
    own."""
    return OAuthClientMetadata(
        client_name="Deskside",
        redirect_uris=[AnyUrl(redirect_uri)],
        token_endpoint_auth_method="none",
    )


class SignedIn(httpx2.Auth):
    """Each request with the token of a sign-in, which is renewed when it has run out or is refused.

    `keep` gets the renewed sign-in. `on_refused` is told, with the server's words about where to sign in,
    that it wants the user: it may be more than once.
    """

    def __init__(
        self,
        sign_in: SignIn | None,
        keep: Callable[[SignIn], Awaitable[None]],
        on_refused: Callable[[str], None],
    ) -> None:
        self._on_refused = on_refused
        self._provider = None if sign_in is None else _renewing(sign_in, keep)

    async def async_auth_flow(
        self, request: httpx2.Request
    ) -> AsyncGenerator[httpx2.Request, httpx2.Response]:
        refused = ""
        while True:
            if self._provider is not None and self._wants_renewal(self._provider, refused):
                flow = self._provider.async_auth_flow(request)
                try:
                    outgoing = await anext(flow)
                    while outgoing is not request:
                        response = yield outgoing
                        if response.status_code == 429 or response.status_code >= 500:
                            # Not a refusal: it is tried again later, with the same token.
                            response.raise_for_status()
                        outgoing = await flow.asend(response)
                finally:
                    await flow.aclose()
            token = self._token
            if token:
                request.headers["Authorization"] = f"Bearer {token}"
            response = yield request
            if response.status_code != 401:
                return
            if refused or not token:
                self._on_refused(response.headers.get(CHALLENGE, ""))
                return
            refused = token

    @property
    def _token(self) -> str:
        tokens = None if self._provider is None else self._provider.context.current_tokens
        return "" if tokens is None else tokens.access_token

    def _wants_renewal(self, provider: OAuthClientProvider, refused: str) -> bool:
        """`refused` is the token that the server has just refused. Another request may have renewed it
        since."""
        context = provider.context
        if refused and refused == self._token:
            context.token_expiry_time = LONG_AGO_S
        return context.can_refresh_token() and not context.is_token_valid()


class _Renewed:
    """The SDK's storage for a provider that renews."""

    def __init__(self, sign_in: SignIn) -> None:
        self.sign_in = sign_in
        self.keep: Callable[[], Awaitable[None]]

    async def get_tokens(self) -> OAuthToken | None:
        return self.sign_in.tokens

    async def get_client_info(self) -> OAuthClientInformationFull | None:
        return self.sign_in.client

    async def set_tokens(self, tokens: OAuthToken) -> None:
        await self.keep()

    async def set_client_info(self, client_info: OAuthClientInformationFull) -> None:
        raise AssertionError("a provider that only renews registers nothing")


def _renewing(sign_in: SignIn, keep: Callable[[SignIn], Awaitable[None]]) -> OAuthClientProvider:
    storage = _Renewed(sign_in)
    # It redirects nowhere: this is the form that the SDK wants.
    provider = OAuthClientProvider(sign_in.url, client_metadata("http://127.0.0.1/"), storage)

    async def keep_renewed() -> None:
        storage.sign_in = SignIn.of(provider)
        await keep(storage.sign_in)

    storage.keep = keep_renewed
    context = provider.context
    context.current_tokens = sign_in.tokens
    context.client_info = sign_in.client
    context.token_expiry_time = sign_in.expires_s
    context.oauth_metadata = sign_in.authorization_server
    context.protected_resource_metadata = sign_in.resource
    return provider
