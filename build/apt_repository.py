#!/usr/bin/env python3
"""Make the apt repository from which Debian and Ubuntu fetch Deskside: signed, and nothing but files.

    python build/apt_repository.py FOLDER --key KEY [--url URL] [PACKAGE.deb …]

The packages are put to those that FOLDER holds, and the indexes written anew. KEY is one of GnuPG's (a
fingerprint); its public half is put into FOLDER, and with the URL at which FOLDER is going to be served also
the file that users put into /etc/apt/sources.list.d. The same packages, key and SOURCE_DATE_EPOCH give the
same bytes.

Needs dpkg-deb and gpg. build/RELEASING.md says when to do what.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import lzma
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterable, Sequence
from email.utils import formatdate
from pathlib import Path
from typing import NamedTuple

SUITE = "stable"
COMPONENT = "main"
NAME = "Deskside"
KEYRING = "deskside-archive-keyring.gpg"
# Packages for every architecture are in the index of each.
ALWAYS = {"amd64"}
# As Debian's policy has them. What a package says of itself becomes the name of a file.
PARTS = {
    "Package": re.compile(r"[a-z0-9][a-z0-9.+-]+"),
    "Version": re.compile(r"(?:[0-9]+:)?[A-Za-z0-9.+~-]+"),
    "Architecture": re.compile(r"[a-z0-9-]+"),
}


class NotMade(Exception):
    """Why, for whoever makes a release."""


class Package(NamedTuple):
    """`control` is what it says of itself, one field or more a line; `path` is inside of the repository."""

    name: str
    version: str
    architecture: str
    control: str
    path: str

    @classmethod
    def read(cls, deb: Path) -> Package:
        done = subprocess.run(["dpkg-deb", "--field", deb], capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise NotMade(f"{deb} is no package: {done.stderr.strip()}")
        values = {}
        for field, pattern in PARTS.items():
            found = re.search(rf"^{field}: *(.*)$", done.stdout, re.MULTILINE)
            if found is None or not pattern.fullmatch(found[1]):
                raise NotMade(f"{deb} does not say its {field} as Debian's policy has it.")
            values[field] = found[1]
        name, version, architecture = values.values()
        # The epoch is no part of the name: a colon is none of every file system.
        file = f"{name}_{version.rpartition(':')[2]}_{architecture}.deb"
        return cls(
            name, version, architecture, done.stdout.strip(), f"pool/{COMPONENT}/{name[0]}/{name}/{file}"
        )


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Make the signed apt repository.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("packages", type=Path, nargs="*", metavar="PACKAGE.deb")
    parser.add_argument("--key", required=True, help="the fingerprint of GnuPG's key to sign with")
    parser.add_argument("--url", help="where the folder is going to be served")
    options = parser.parse_intermixed_args(arguments)
    try:
        for deb in options.packages:
            _add(options.folder, deb)
        count = _write(options.folder, options.key, options.url)
    except NotMade as error:
        print(error, file=sys.stderr)
        return 1
    print(f"{options.folder}: {count} packages")
    return 0


def _add(folder: Path, deb: Path) -> None:
    place = folder / Package.read(deb).path
    if place.exists() and _sha256(place) != _sha256(deb):
        raise NotMade(f"{place} is released already and other than {deb}. Give the package a new version.")
    place.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(deb, place)


def _write(folder: Path, key: str, url: str | None) -> int:
    """Write the indexes of what is in the pool, and sign them. Returns how many packages there are."""
    debs = sorted((folder / "pool").rglob("*.deb"))
    packages = [Package.read(deb) for deb in debs]
    if not packages:
        raise NotMade(f"{folder} holds no package. Name one.")
    suite = folder / "dists" / SUITE
    architectures = sorted(({package.architecture for package in packages} | ALWAYS) - {"all"})
    indexes: list[Path] = []
    for architecture in architectures:
        index = suite / COMPONENT / f"binary-{architecture}" / "Packages"
        stanzas = [_stanza(folder, each) for each in packages if each.architecture in (architecture, "all")]
        indexes += _write_index(index, "\n\n".join(stanzas) + "\n")
    at_s = int(os.environ.get("SOURCE_DATE_EPOCH") or time.time())
    (suite / "Release").write_text(_release(suite, indexes, architectures, at_s), "utf-8")
    _sign(folder, key, at_s)
    if url is not None:
        (folder / "deskside.sources").write_text(_sources(url, architectures), "utf-8")
    return len(packages)


def _stanza(folder: Path, package: Package) -> str:
    deb = folder / package.path
    if not deb.is_file():
        raise NotMade(f"{package.path} is missing: the pool holds {package.name} under another name.")
    return "\n".join(
        (
            package.control,
            f"Filename: {package.path}",
            f"Size: {deb.stat().st_size}",
            f"SHA256: {_sha256(deb)}",
        )
    )


def _write_index(index: Path, text: str) -> list[Path]:
    """An index as it is and compressed; apt takes the smallest that it can read."""
    data = text.encode()
    index.parent.mkdir(parents=True, exist_ok=True)
    files = {
        index: data,
        index.with_suffix(".gz"): gzip.compress(data, mtime=0),
        index.with_suffix(".xz"): lzma.compress(data),
    }
    for path, content in files.items():
        path.write_bytes(content)
    return list(files)


def _release(suite: Path, indexes: Iterable[Path], architectures: Sequence[str], at_s: int) -> str:
    fields = {
        "Origin": NAME,
        "Label": NAME,
        "Suite": SUITE,
        "Codename": SUITE,
        "Date": formatdate(at_s, usegmt=True).replace("GMT", "UTC"),
        "Architectures": " ".join(architectures),
        "Components": COMPONENT,
        "Description": "The Deskside desktop assistant",
    }
    lines = [f"{name}: {value}" for name, value in fields.items()]
    sums = [
        f" {_sha256(index)} {index.stat().st_size} {index.relative_to(suite).as_posix()}" for index in indexes
    ]
    return "\n".join([*lines, "SHA256:", *sums]) + "\n"


def _sign(folder: Path, key: str, at_s: int) -> None:
    """Sign what `Release` says, in both forms, and hold it against the public half that users get."""
    suite, keyring = folder / "dists" / SUITE, folder / KEYRING
    # A folder holds the half that its users trust. Another one would turn them all away.
    exported = _gpg("--export-options", "export-minimal", "--export", key)
    if not exported:
        raise NotMade(f"GnuPG knows no key {key!r}.")
    if keyring.exists() and keyring.read_bytes() != exported:
        raise NotMade(
            f"{keyring} is another key, which is the one that users trust. Sign with that, or see "
            "build/RELEASING.md for a new one."
        )
    keyring.write_bytes(exported)
    signing = ("--local-user", key, "--faked-system-time", f"{at_s}!", "--digest-algo", "SHA512")
    release = suite / "Release"
    _gpg(*signing, "--output", suite / "Release.gpg", "--armor", "--detach-sign", release)
    _gpg(*signing, "--output", suite / "InRelease", "--clearsign", release)
    for signed in ([suite / "InRelease"], [suite / "Release.gpg", release]):
        command: list[str | Path] = ["gpgv", "--keyring", keyring.absolute(), *signed]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise NotMade(f"The signature does not hold: {done.stderr.strip()}")


def _gpg(*arguments: str | Path) -> bytes:
    done = subprocess.run(["gpg", "--batch", "--yes", *arguments], capture_output=True, check=False)
    if done.returncode != 0:
        raise NotMade(f"GnuPG does not sign: {done.stderr.decode(errors='replace').strip()}")
    return done.stdout


def _sources(url: str, architectures: Iterable[str]) -> str:
    return f"""\
Types: deb
URIs: {url}
Suites: {SUITE}
Components: {COMPONENT}
Architectures: {" ".join(architectures)}
Signed-By: /usr/share/keyrings/{KEYRING}
"""


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


if __name__ == "__main__":
    sys.exit(main())
