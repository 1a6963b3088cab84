#!/usr/bin/env python3
"""Make and sign `latest.json`, from which every Deskside learns that there is a newer one.

    python build/update_manifest.py new-key FILE       make the pair of keys that updates are signed with
    python build/update_manifest.py make --key FILE --download linux=https://… [--oldest-supported 0.1.0]
    python build/update_manifest.py show FILE          what a signed file says, read as the program reads it

What is new is taken from CHANGELOG.md, whose headings of releases are `## 0.2.0 (2026-12-01)`. The same files
and SOURCE_DATE_EPOCH give the same bytes. build/RELEASING.md says when to do what.
"""

from __future__ import annotations

import argparse
import os
import re
import sys
import time
import tomllib
from base64 import b64encode
from getpass import getpass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / root) for root in ("shell", "bridge", "backend")]

import msgspec  # noqa: E402
from cryptography.hazmat.primitives import serialization  # noqa: E402
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey  # noqa: E402

from deskside.backend.errors import AppError  # noqa: E402
from deskside.backend.updates.manifest import (  # noqa: E402
    SIGNED_FOR,
    Envelope,
    Manifest,
    Release,
    numbers_of,
    read_manifest,
)
from deskside.backend.updates.origin import PUBLIC_KEYS  # noqa: E402

HEADING = re.compile(r"^## (\d+\.\d+\.\d+) \((\d{4}-\d{2}-\d{2})\)[ \t]*$", re.MULTILINE)
# Who comes from further back reads the rest in CHANGELOG.md.
MOST_RELEASES = 20


class NotMade(Exception):
    """Why, for whoever makes a release."""


def main(arguments: list[str] | None = None) -> int:
    options = _options(arguments)
    try:
        options.run(options)
    except NotMade as error:
        print(error, file=sys.stderr)
        return 1
    except AppError as error:
        print(f"{error.message} {error.hint}", file=sys.stderr)
        return 1
    return 0


def _options(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Make and sign latest.json.")
    commands = parser.add_subparsers(required=True)
    new_key = commands.add_parser("new-key", help="make the pair of keys that updates are signed with")
    new_key.add_argument("file", type=Path, help="where the private half goes: a file that is not there yet")
    new_key.add_argument("--no-passphrase", action="store_true", help="for a safe that encrypts by itself")
    new_key.set_defaults(run=_make_key)
    make = commands.add_parser("make", help="make and sign latest.json")
    make.add_argument("--key", type=Path, required=True, help="the private half")
    make.add_argument(
        "--download", action="append", default=[], metavar="SYSTEM=URL", help="linux, darwin or windows"
    )
    make.add_argument("--oldest-supported", metavar="VERSION", help="else the newest alone gets fixes")
    make.add_argument("--changelog", type=Path, default=ROOT / "CHANGELOG.md")
    make.add_argument("--out", type=Path, default=ROOT / "dist" / "latest.json")
    make.add_argument("--other-key", action="store_true", help="the key is not the one in the program")
    make.set_defaults(run=_make)
    show = commands.add_parser("show", help="what a signed file says, read as the program reads it")
    show.add_argument("file", type=Path)
    show.add_argument("--public-key", action="append", help="instead of those in the program")
    show.set_defaults(run=_show)
    return parser.parse_args(arguments)


def _make_key(options: argparse.Namespace) -> None:
    key = Ed25519PrivateKey.generate()
    passphrase = b"" if options.no_passphrase else getpass("Passphrase: ").encode()
    if passphrase and passphrase != getpass("Again: ").encode():
        raise NotMade("The two passphrases differ. Nothing was written.")
    encryption = (
        serialization.BestAvailableEncryption(passphrase) if passphrase else serialization.NoEncryption()
    )
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption)
    try:
        opened = os.open(options.file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise NotMade(f"{options.file} is there already, and was left as it is. Name another file.") from None
    with os.fdopen(opened, "wb") as file:
        file.write(pem)
    print(public_key_of(key))


def public_key_of(key: Ed25519PrivateKey) -> str:
    """As it stands in `PUBLIC_KEYS`."""
    return b64encode(key.public_key().public_bytes_raw()).decode()


def _make(options: argparse.Namespace) -> None:
    key = _read_key(options.key)
    public_key = public_key_of(key)
    if public_key not in PUBLIC_KEYS and not options.other_key:
        raise NotMade(
            f"{options.key} is not the key that the program knows, so no Deskside would believe it. Its "
            f"public half, {public_key}, belongs into PUBLIC_KEYS in "
            "backend/deskside/backend/updates/origin.py."
        )
    releases = releases_in(options.changelog.read_text("utf-8"))
    newest = releases[0].version
    if options.changelog == ROOT / "CHANGELOG.md" and newest != _version_of_the_program():
        raise NotMade(
            f"CHANGELOG.md begins with {newest}, and pyproject.toml says {_version_of_the_program()}."
        )
    made = {
        "signed_ms": int(os.environ.get("SOURCE_DATE_EPOCH") or time.time()) * 1000,
        "releases": msgspec.to_builtins(releases[:MOST_RELEASES]),
        "oldest_supported": options.oldest_supported or newest,
        "downloads": dict(_download(text) for text in options.download),
    }
    data = signed(made, key)
    read_manifest(data, [public_key])
    if numbers_of(made["oldest_supported"]) > numbers_of(newest):
        raise NotMade(f"{made['oldest_supported']} is newer than {newest}, the newest.")
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_bytes(data)
    print(f"{options.out}: {newest}, {len(data):,} bytes")


def signed(manifest: Any, key: Ed25519PrivateKey) -> bytes:
    """The file for what is or resembles a `Manifest`."""
    text = msgspec.json.format(msgspec.json.encode(manifest), indent=2).decode()
    signature = b64encode(key.sign(SIGNED_FOR + text.encode())).decode()
    return msgspec.json.format(msgspec.json.encode(Envelope(signature, text)), indent=2) + b"\n"


def releases_in(changelog: str) -> list[Release]:
    """The releases of a changelog, in its order. What is not released yet is left out."""
    parts = HEADING.split(changelog)[1:]
    if not parts:
        raise NotMade("The changelog has no release. A heading of one is: ## 0.2.0 (2026-12-01)")
    return [Release(parts[at], parts[at + 1], parts[at + 2].strip()) for at in range(0, len(parts), 3)]


def _read_key(path: Path) -> Ed25519PrivateKey:
    try:
        pem = path.read_bytes()
    except OSError as error:
        raise NotMade(f"The key cannot be read: {error}") from error
    try:
        key = _loaded(pem, None)
    except TypeError:  # it is encrypted
        key = _loaded(pem, getpass("Passphrase: ").encode())
    return key


def _loaded(pem: bytes, passphrase: bytes | None) -> Ed25519PrivateKey:
    try:
        key = serialization.load_pem_private_key(pem, passphrase)
    except ValueError as error:
        raise NotMade(f"The key cannot be opened: {error}") from error
    if not isinstance(key, Ed25519PrivateKey):
        raise NotMade("This is another kind of key. Make one with: build/update_manifest.py new-key FILE")
    return key


def _download(text: str) -> tuple[str, str]:
    system, is_given, url = text.partition("=")
    if not is_given:
        raise NotMade(f"{text!r} is not SYSTEM=URL, such as linux=https://example.org/deskside")
    return system, url


def _version_of_the_program() -> str:
    with (ROOT / "pyproject.toml").open("rb") as file:
        return str(tomllib.load(file)["project"]["version"])


def _show(options: argparse.Namespace) -> None:
    manifest: Manifest = read_manifest(options.file.read_bytes(), options.public_key or PUBLIC_KEYS)
    print(msgspec.json.format(msgspec.json.encode(manifest), indent=2).decode())


if __name__ == "__main__":
    sys.exit(main())
