#!/usr/bin/env python3
"""Make the apt repository from which Debian and Ubuntu fetch Deskside: signed, and nothing but files.

    python build/apt_repository.py FOLDER --key KEY [--url URL] [PACKAGE.deb …]

The packages are put to those that FOLDER holds, and the indexes written anew: one suite for each release of
Debian and Ubuntu. A package's version says which one it was built for (`0.1.0-1~deb12`); one that does not
say it fits every release, and is in each suite. KEY is one of GnuPG's (a fingerprint); its public half is put
into FOLDER, and with the URL at which FOLDER is going to be served also the files of which users put one into
/etc/apt/sources.list.d. The same packages, key and SOURCE_DATE_EPOCH give the same bytes.

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

# What build/deb.py puts at the end of a version, and the release's name, which its users know.
SUITES = {"deb12": "bookworm", "deb13": "trixie", "ubuntu24.04": "noble"}
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
    """`suite` is None for what belongs into each; `control` is what the package says of itself, one field or
    more a line; `path` is inside of the repository.
    """

    name: str
    version: str
    architecture: str
    suite: str | None
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
            name,
            version,
            architecture,
            cls._suite(name, version),
            done.stdout.strip(),
            f"pool/{COMPONENT}/{name[0]}/{name}/{file}",
        )

    @staticmethod
    def _suite(name: str, version: str) -> str | None:
        _, tilde, release = version.rpartition("~")
        if not tilde:
            return None
        if release not in SUITES:
            raise NotMade(
                f"{name} {version} is for {release}, which is none of {', '.join(SUITES)}. "
                "Put it into SUITES in build/apt_repository.py."
            )
        return SUITES[release]


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
        counts = _write(options.folder, options.key, options.url)
    except NotMade as error:
        print(error, file=sys.stderr)
        return 1
    for suite, count in counts.items():
        print(f"{options.folder}: {suite}: {count} packages")
    return 0


def _add(folder: Path, deb: Path) -> None:
    place = folder / Package.read(deb).path
    if place.exists() and _sha256(place) != _sha256(deb):
        raise NotMade(f"{place} is released already and other than {deb}. Give the package a new version.")
    place.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(deb, place)


def _write(folder: Path, key: str, url: str | None) -> dict[str, int]:
    """Write the indexes of what is in the pool, and sign them. Returns how many packages each suite has."""
    debs = sorted((folder / "pool").rglob("*.deb"))
    packages = [Package.read(deb) for deb in debs]
    suites = sorted({package.suite for package in packages if package.suite is not None})
    if not suites:
        raise NotMade(f"{folder} holds no package that says which release it is for. Name one.")
    _put_keyring(folder, key)
    at_s = int(os.environ.get("SOURCE_DATE_EPOCH") or time.time())
    counts = {}
    for suite in suites:
        fitting = [package for package in packages if package.suite in (suite, None)]
        architectures = sorted(({package.architecture for package in fitting} | ALWAYS) - {"all"})
        _write_suite(folder, suite, fitting, architectures, at_s)
        _sign(folder, suite, key, at_s)
        if url is not None:
            sources = folder / f"deskside-{suite}.sources"
            sources.write_text(_sources(url, suite, architectures), "utf-8")
        counts[suite] = len(fitting)
    return counts


def _write_suite(
    folder: Path, suite: str, packages: Iterable[Package], architectures: Sequence[str], at_s: int
) -> None:
    place = folder / "dists" / suite
    indexes: list[Path] = []
    for architecture in architectures:
        index = place / COMPONENT / f"binary-{architecture}" / "Packages"
        stanzas = [_stanza(folder, each) for each in packages if each.architecture in (architecture, "all")]
        indexes += _write_index(index, "\n\n".join(stanzas) + "\n")
    (place / "Release").write_text(_release(place, indexes, architectures, at_s), "utf-8")


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
        "Suite": suite.name,
        "Codename": suite.name,
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


def _put_keyring(folder: Path, key: str) -> None:
    # A folder holds the half that its users trust. Another one would turn them all away.
    keyring = folder / KEYRING
    exported = _gpg("--export-options", "export-minimal", "--export", key)
    if not exported:
        raise NotMade(f"GnuPG knows no key {key!r}.")
    if keyring.exists() and keyring.read_bytes() != exported:
        raise NotMade(
            f"{keyring} is another key, which is the one that users trust. Sign with that, or see "
            "build/RELEASING.md for a new one."
        )
    keyring.write_bytes(exported)


def _sign(folder: Path, suite: str, key: str, at_s: int) -> None:
    """Sign what `Release` says, in both forms, and hold it against the public half that users get."""
    place, keyring = folder / "dists" / suite, folder / KEYRING
    signing = ("--local-user", key, "--faked-system-time", f"{at_s}!", "--digest-algo", "SHA512")
    release = place / "Release"
    _gpg(*signing, "--output", place / "Release.gpg", "--armor", "--detach-sign", release)
    _gpg(*signing, "--output", place / "InRelease", "--clearsign", release)
    for signed in ([place / "InRelease"], [place / "Release.gpg", release]):
        command: list[str | Path] = ["gpgv", "--keyring", keyring.absolute(), *signed]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise NotMade(f"The signature does not hold: {done.stderr.strip()}")


def _gpg(*arguments: str | Path) -> bytes:
    done = subprocess.run(["gpg", "--batch", "--yes", *arguments], capture_output=True, check=False)
    if done.returncode != 0:
        raise NotMade(f"GnuPG does not sign: {done.stderr.decode(errors='replace').strip()}")
    return done.stdout


def _sources(url: str, suite: str, architectures: Iterable[str]) -> str:
    return f"""\
Types: deb
URIs: {url}
Suites: {suite}
Components: {COMPONENT}
Architectures: {" ".join(architectures)}
Signed-By: /usr/share/keyrings/{KEYRING}
"""


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


if __name__ == "__main__":
    sys.exit(main())
