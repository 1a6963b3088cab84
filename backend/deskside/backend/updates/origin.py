"""Where newer versions are told of, whose signature counts, and who else may bring them.

build/RELEASING.md, "Updates", says how the two constants get their real values.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import msgspec
from loguru import logger

# Empty in the sources: what is run from a checkout asks nobody.
ADDRESS = ""
# Ed25519, base64. Several while one takes the place of another. This one is a stand-in, whose private half
# was thrown away: nothing can be signed for it.
PUBLIC_KEYS = ("eoMpxCprIGEm/41R5X8k0V8zcmWTD/1PbwgX0OW9XFE=",)

# For tests, and for those who hand out Deskside themselves. Whoever sets the environment of a program can
# have it do anything already, so this gives nothing away.
ADDRESS_VARIABLE = "DESKSIDE_UPDATE_URL"
KEY_VARIABLE = "DESKSIDE_UPDATE_KEY"

# Put there by whoever packages Deskside for a system that brings updates itself.
DISTRIBUTION = Path(__file__).with_name("distribution.json")


class Distribution(msgspec.Struct, frozen=True):
    """`name` is who packaged it, `how_to_update` a sentence for the user."""

    name: str
    how_to_update: str


class Origin(msgspec.Struct, frozen=True):
    """`why_not` says why this Deskside does not look, and is empty where it does."""

    address: str
    public_keys: tuple[str, ...]
    why_not: str = ""


def find_origin(environ: Mapping[str, str] = os.environ) -> Origin:
    """What this installation asks. A package of a distribution asks nobody, whatever the environment says."""
    address = environ.get(ADDRESS_VARIABLE) or ADDRESS
    key = environ.get(KEY_VARIABLE)
    return Origin(address, (key,) if key else PUBLIC_KEYS, _why_not(address))


def _why_not(address: str) -> str:
    if DISTRIBUTION.exists():
        try:
            package = msgspec.json.decode(DISTRIBUTION.read_bytes(), type=Distribution)
        except msgspec.MsgspecError as error:
            logger.warning("{} cannot be read: {}", DISTRIBUTION, error)
            return "Updates come from where this Deskside was installed from."
        return f"This Deskside comes from {package.name}, and so do its updates. {package.how_to_update}"
    if not address:
        return "This Deskside was built from its sources, so it does not look for newer versions."
    return ""
