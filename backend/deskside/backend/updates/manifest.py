"""`latest.json`: which releases there are, signed, and reading it without trusting whoever served it.

    {"signature": "<Ed25519, base64>", "signed": "<the JSON of a Manifest, as one text>"}

The signature is of `SIGNED_FOR` and the text's UTF-8 bytes as they stand, so nothing is decoded before it was
verified but the two texts, and a signature of anything else made with the same key is none of this.
"""

from __future__ import annotations

import re
from base64 import b64decode
from collections.abc import Sequence
from typing import Annotated, Literal

import msgspec

from deskside.backend.errors import UpdateLookFailed

SIGNED_FOR = b"deskside latest.json 1\n"

System = Literal["linux", "darwin", "windows"]
"""As `platform.system().lower()`."""
Version = Annotated[str, msgspec.Meta(pattern=r"^[0-9]{1,4}\.[0-9]{1,4}\.[0-9]{1,4}(?!\n)$")]
Date = Annotated[str, msgspec.Meta(pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}(?!\n)$")]
Address = Annotated[str, msgspec.Meta(pattern=r"^https://[^\s]+(?!\n)$", max_length=2000)]


class Release(msgspec.Struct, frozen=True):
    """`notes` are Markdown."""

    version: Version
    date: Date
    notes: Annotated[str, msgspec.Meta(max_length=50_000)]


class Manifest(msgspec.Struct, frozen=True):
    """`releases`: the newest first. What is older than `oldest_supported` gets no fixes any more. `downloads`
    are pages for a person, by system."""

    signed_ms: int
    releases: Annotated[list[Release], msgspec.Meta(min_length=1, max_length=200)]
    oldest_supported: Version
    downloads: dict[System, Address]

    def __post_init__(self) -> None:
        numbers = [numbers_of(release.version) for release in self.releases]
        if numbers != sorted(set(numbers), reverse=True):
            raise ValueError("the releases are not in order, the newest first")

    @property
    def newest(self) -> str:
        return self.releases[0].version


class Envelope(msgspec.Struct, frozen=True):
    """The file as it is served."""

    signature: str
    signed: str


def numbers_of(version: str) -> tuple[int, int, int, bool]:
    """To compare versions by. What comes after the three numbers makes it earlier than without (`0.2.0rc1`);
    what is no version is earlier than all."""
    match = re.match(r"([0-9]+)\.([0-9]+)\.([0-9]+)(.*)", version, re.DOTALL)
    if match is None:
        return (0, 0, 0, False)
    return (int(match[1]), int(match[2]), int(match[3]), not match[4])


def read_manifest(data: bytes, public_keys: Sequence[str]) -> Manifest:
    """What one of the keys has signed. Raises UpdateLookFailed for anything else."""
    try:
        envelope = msgspec.json.decode(data, type=Envelope)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise UpdateLookFailed(
            "What answered is not the update server of Deskside.",
            hint="A network that asks for a login may be in between. Open a web page, then look again.",
        ) from error
    if not any(_has_signed(key, envelope) for key in public_keys):
        raise UpdateLookFailed(
            "What the update server sent is not signed by the makers of Deskside, and was ignored.",
            hint="Somebody on the way may have changed it. Look again later, or in another network.",
        )
    try:
        return msgspec.json.decode(envelope.signed, type=Manifest)
    except msgspec.MsgspecError as error:
        raise UpdateLookFailed(
            "What the update server sent is in a form that this Deskside cannot read."
        ) from error


def _has_signed(public_key: str, envelope: Envelope) -> bool:
    # Half of what it takes to look; a start does not wait for it.
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    try:
        key = Ed25519PublicKey.from_public_bytes(b64decode(public_key, validate=True))
        signature = b64decode(envelope.signature, validate=True)
        key.verify(signature, SIGNED_FOR + envelope.signed.encode())
    except (InvalidSignature, ValueError):
        return False
    return True
