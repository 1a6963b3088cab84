"""What is secret about a server: values of its variables and headers, and what came of signing in.

Each is in the keychain, or the encrypted file, under a name that begins with the server's `secret_prefix`.
The store has only which there are, and where.
"""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from deskside.backend import redaction
from deskside.backend.errors import InvalidRequest, KeychainUnavailable
from deskside.backend.keychain import LONGEST_SECRET
from deskside.backend.mcp import proposal as proposals
from deskside.backend.mcp.proposal import Proposal, Variable
from deskside.backend.mcp.rows import KeptSignIn, KeptVariable
from deskside.backend.store import mcp_servers
from deskside.backend.store.mcp_servers import StoredServer

if TYPE_CHECKING:
    from deskside.backend.keys import Keys
    from deskside.backend.store.database import Store

# Tokens can be longer than an entry of a keychain. Each part begins with a mark, the same in all of them:
# parts of two sign-ins, of which the second was not written whole, are no sign-in.
MARK_CHARACTERS = 8
PART_CHARACTERS = LONGEST_SECRET - MARK_CHARACTERS
MOST_PARTS = 16


@dataclass(frozen=True, repr=False)
class Access:
    """What a server is given: its program the environment; its address the headers, and what came of signing
    in there, which is kept anew when it was renewed."""

    environment: Mapping[str, str]
    headers: Mapping[str, str]
    sign_in: str | None
    keep_sign_in: Callable[[str], Awaitable[None]]


class ServerSecrets:
    """All methods belong to the loop's thread, and raise KeychainUnavailable."""

    def __init__(self, store: Store, keys: Keys) -> None:
        self._store = store
        self._keys = keys

    async def access(self, stored: StoredServer) -> Access:
        """Read everything that a server is given."""
        environment = await self._values(stored, "env", stored.environment)
        headers = await self._values(stored, "header", stored.headers)
        return Access(
            proposals.environment(environment),
            headers,
            await self.sign_in(stored.id),
            lambda text: self.keep_sign_in(stored.id, text),
        )

    async def learn_all(self) -> int:
        """Make all of them known to the redaction, where that shows no prompt. Returns of how many servers
        they could not be read."""
        unread = 0
        for stored in await self._store.read(mcp_servers.servers):
            places = {variable.place for variable in _secrets_of(stored).values()}
            places |= {stored.sign_in.place} if stored.sign_in is not None else set()
            try:
                if all([await self._keys.reads_quietly(place) for place in places if place]):
                    await self.access(stored)
                else:
                    unread += 1
            except KeychainUnavailable:
                unread += 1
        return unread

    # -- variables and headers --

    async def keep(
        self, stored: StoredServer, proposal: Proposal, before: StoredServer | None
    ) -> StoredServer:
        """The server with what was proposed, whose secrets are kept from now on."""
        kept = {} if before is None else _secrets_of(before)
        return msgspec.structs.replace(
            stored,
            environment=await self._keep(stored, "env", proposal.environment, kept),
            headers=await self._keep(stored, "header", proposal.headers, kept),
        )

    async def drop(self, before: StoredServer, after: StoredServer | None) -> None:
        """Forget what `before` had and `after`, which took its place, has not."""
        staying = set() if after is None else set(_secrets_of(after))
        for account, variable in _secrets_of(before).items():
            if account not in staying and variable.place:
                await self._keys.drop_secret(account, variable.place)
        if before.sign_in is not None and (after is None or after.sign_in is None):
            await self._drop_parts(before, before.sign_in, 0)

    async def _values(
        self, stored: StoredServer, kind: str, variables: Sequence[KeptVariable]
    ) -> dict[str, str]:
        values: dict[str, str] = {}
        for variable in variables:
            if not variable.place:
                values[variable.name] = variable.value or ""
                continue
            secret = await self._keys.kept_secret(_account(stored, kind, variable.name), variable.place)
            if secret is None:
                raise KeychainUnavailable(
                    f"The value of {variable.name} is not in the keychain any more.",
                    hint="Edit the server and type it again.",
                )
            values[variable.name] = secret
        return values

    async def _keep(
        self,
        stored: StoredServer,
        kind: str,
        variables: Sequence[Variable],
        kept: Mapping[str, KeptVariable],
    ) -> list[KeptVariable]:
        found: list[KeptVariable] = []
        for variable in variables:
            account = _account(stored, kind, variable.name)
            if not variable.is_secret:
                found.append(KeptVariable(variable.name, variable.value))
            elif variable.value is None:
                found.append(kept[account])
            else:
                place = await self._keys.keep_secret(account, variable.value)
                found.append(KeptVariable(variable.name, None, place))
        return found

    # -- what came of signing in --

    async def sign_in(self, server_id: int) -> str | None:
        """The text that `keep_sign_in` got; None where nobody is signed in, or a part of it is gone."""
        stored = await self._store.read(mcp_servers.server, server_id)
        kept = stored.sign_in
        if kept is None:
            return None
        parts: list[str] = []
        for number in range(kept.parts):
            part = await self._keys.kept_secret(_account(stored, "sign-in", str(number)), kept.place)
            if part is None:
                return None
            parts.append(part)
        if len({part[:MARK_CHARACTERS] for part in parts}) != 1:
            return None
        text = "".join(part[MARK_CHARACTERS:] for part in parts)
        redaction.PROCESS.learn_json(text, f"the sign-in of the MCP server {stored.name}")
        return text

    async def keep_sign_in(self, server_id: int, text: str) -> None:
        """Keep what came of a sign-in (ASCII), in the place of what was there before."""
        stored = await self._store.read(mcp_servers.server, server_id)
        redaction.PROCESS.learn_json(text, f"the sign-in of the MCP server {stored.name}")
        mark = secrets.token_hex(MARK_CHARACTERS // 2)
        pieces = [text[start : start + PART_CHARACTERS] for start in range(0, len(text), PART_CHARACTERS)]
        if len(pieces) > MOST_PARTS:
            raise KeychainUnavailable("This server's tokens are too long to be kept.", hint="")
        kept = KeptSignIn(await self._keys.place(), len(pieces))
        if stored.sign_in is not None:
            has_moved = stored.sign_in.place != kept.place
            await self._drop_parts(stored, stored.sign_in, 0 if has_moved else kept.parts)
        # Noted first: whatever happens while it is written, it is known of and can be deleted.
        await self._store.write(mcp_servers.keep_sign_in, server_id, kept)
        for number, piece in enumerate(pieces):
            await self._keys.keep_secret(_account(stored, "sign-in", str(number)), mark + piece)

    async def drop_sign_in(self, server_id: int) -> None:
        """Forget it, if there is one."""
        stored = await self._store.read(mcp_servers.server, server_id)
        if stored.sign_in is not None:
            await self._drop_parts(stored, stored.sign_in, 0)
            await self._store.write(mcp_servers.keep_sign_in, server_id, None)

    async def _drop_parts(self, stored: StoredServer, kept: KeptSignIn, from_number: int) -> None:
        for number in range(from_number, kept.parts):
            await self._keys.drop_secret(_account(stored, "sign-in", str(number)), kept.place)


def check_kept(proposal: Proposal, before: StoredServer | None) -> None:
    """Raises InvalidRequest where a stored secret would go to another program or address than it was given
    to."""
    stays = before is not None and (
        (before.transport, before.command, before.arguments, before.url)
        == (proposal.transport, proposal.command, list(proposal.arguments), proposal.url)
    )
    stored = {} if before is None else _secrets_of(before)
    for kind, variables in (("env", proposal.environment), ("header", proposal.headers)):
        for variable in variables:
            if variable.value is not None:
                continue
            if before is None or not stays or _account(before, kind, variable.name) not in stored:
                raise InvalidRequest(
                    f"The value of {variable.name} is missing.",
                    hint="Type it again: a secret is not handed on to another command or address.",
                )


def _secrets_of(stored: StoredServer) -> dict[str, KeptVariable]:
    """By what they are kept under."""
    both = (("env", stored.environment), ("header", stored.headers))
    return {
        _account(stored, kind, variable.name): variable
        for kind, variables in both
        for variable in variables
        if variable.place
    }


def _account(stored: StoredServer, kind: str, name: str) -> str:
    return f"{stored.secret_prefix}-{kind}-{name}"
