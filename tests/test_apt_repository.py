"""The apt repository, as apt itself reads it: in a root of its own, from a server on this machine."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

import apt_repository
from stores import files_of

pytestmark = pytest.mark.skipif(shutil.which("apt-get") is None, reason="this system has no apt")

# Keys, signatures and packages of the past: apt believes nothing from the future.
KEY_MADE_S = 1_690_000_000
RELEASED_S = 1_700_000_000


@contextmanager
def made_key() -> Iterator[tuple[Path, str]]:
    """A GnuPG of its own with one key: its home and the key's fingerprint."""
    # Its agent's socket has a path that ends at 107 bytes.
    with tempfile.TemporaryDirectory(prefix="gnupg-") as name:
        home = Path(name)
        gpg = ["gpg", "--homedir", name, "--batch", "--faked-system-time", f"{KEY_MADE_S}!"]
        new = [
            "--passphrase",
            "",
            "--quick-gen-key",
            "Test <test@deskside.example>",
            "ed25519",
            "sign",
            "never",
        ]
        try:
            run(*gpg, *new)
            listed = run(*gpg, "--with-colons", "--list-keys")
            yield home, next(line.split(":")[9] for line in listed.splitlines() if line.startswith("fpr:"))
        finally:
            run("gpgconf", "--homedir", name, "--kill", "all")


def run(*command: str | Path, environ: dict[str, str] | None = None) -> str:
    return subprocess.run(
        command, env={**os.environ, **(environ or {})}, capture_output=True, text=True, check=True, timeout=60
    ).stdout


@pytest.fixture(scope="module")
def key() -> Iterator[tuple[Path, str]]:
    with made_key() as key:
        yield key


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "repository"


class Archive:
    """A repository, the key that signs it, and packages to put into it."""

    def __init__(self, folder: Path, key: tuple[Path, str], monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        self.fingerprint = key[1]
        monkeypatch.setenv("GNUPGHOME", str(key[0]))
        monkeypatch.setenv("SOURCE_DATE_EPOCH", str(RELEASED_S))

    def add(self, *packages: Path, url: str | None = None) -> int:
        address = [] if url is None else ["--url", url]
        return apt_repository.main(
            [str(self.folder), "--key", self.fingerprint, *address, *map(str, packages)]
        )


@pytest.fixture
def archive(folder: Path, key: tuple[Path, str], monkeypatch: pytest.MonkeyPatch) -> Archive:
    return Archive(folder, key, monkeypatch)


def package(
    folder: Path, version: str, name: str = "deskside", architecture: str = "amd64", content: str = ""
) -> Path:
    """A tiny package, the same bytes each time."""
    tree = folder / f"tree-{name}-{version}-{architecture}-{content}"
    (tree / "DEBIAN").mkdir(parents=True)
    (tree / "DEBIAN" / "control").write_text(
        f"Package: {name}\nVersion: {version}\nArchitecture: {architecture}\n"
        "Maintainer: Test <test@deskside.example>\nDescription: a test\n of one line more\n",
        "utf-8",
    )
    (tree / "usr").mkdir()
    (tree / "usr" / "version").write_text(version + content, "utf-8")
    made = folder / f"any-{name}-{version}-{architecture}-{content}.deb"
    run(
        "dpkg-deb",
        "--root-owner-group",
        "--build",
        tree,
        made,
        environ={"SOURCE_DATE_EPOCH": str(RELEASED_S)},
    )
    return made


class Apt:
    """apt in a root of its own, which knows one repository."""

    def __init__(self, root: Path, url: str, keyring: Path, suite: str = "bookworm") -> None:
        self._root = root
        for name in ("etc/apt/sources.list.d", "var/lib/apt/lists/partial", "var/lib/dpkg", "downloads"):
            (root / name).mkdir(parents=True)
        (root / "var/cache/apt/archives/partial").mkdir(parents=True)
        (root / "var/lib/dpkg/status").touch()
        source = f"Types: deb\nURIs: {url}\nSuites: {suite}\nComponents: main\nSigned-By: {keyring}\n"
        (root / "etc/apt/sources.list.d/deskside.sources").write_text(source, "utf-8")
        (root / "apt.conf").write_text(
            f'Dir "{root}";\nDir::State::status "{root}/var/lib/dpkg/status";\n'
            'APT::Architecture "amd64";\nAPT::Architectures { "amd64"; };\n'
            'APT::Sandbox::User "root";\nAcquire::Languages "none";\nAcquire::Retries "0";\n',
            "utf-8",
        )

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command,
            env={**os.environ, "APT_CONFIG": str(self._root / "apt.conf"), "LC_ALL": "C"},
            cwd=self._root / "downloads",
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def update(self) -> subprocess.CompletedProcess[str]:
        # What it could not fetch or believe is an error, not a warning beside what it knew before.
        return self.run("apt-get", "update", "--error-on=any")

    def install(self, version: str) -> None:
        """As if it were installed."""
        (self._root / "var/lib/dpkg/status").write_text(
            f"Package: deskside\nStatus: install ok installed\nVersion: {version}\nArchitecture: amd64\n"
            "Maintainer: Test <test@deskside.example>\nDescription: a test\n\n",
            "utf-8",
        )

    def fetched(self, package: str) -> Path | None:
        done = self.run("apt-get", "download", package)
        found = sorted((self._root / "downloads").glob("*.deb"))
        return found[0] if done.returncode == 0 and found else None


@pytest.fixture
def url(folder: Path) -> Iterator[str]:
    class Handler(SimpleHTTPRequestHandler):
        def do_GET(self) -> None:
            # It goes by whole seconds, and these files change faster.
            del self.headers["If-Modified-Since"]
            super().do_GET()

        def log_message(self, format: str, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=str(folder))) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.fixture
def apt(tmp_path: Path, folder: Path, url: str) -> Apt:
    return Apt(tmp_path / "root", url, folder / apt_repository.KEYRING)


def test_apt_lists_what_is_there_and_fetches_it(archive: Archive, apt: Apt, tmp_path: Path) -> None:
    first = package(tmp_path, "0.1.0-1~deb12")
    assert 0 == archive.add(first, package(tmp_path, "1.0", name="deskside-doc", architecture="all"))

    updated = apt.update()
    assert 0 == updated.returncode, updated.stderr
    assert "Candidate: 0.1.0-1~deb12" in apt.run("apt-cache", "policy", "deskside").stdout
    assert "Candidate: 1.0" in apt.run("apt-cache", "policy", "deskside-doc").stdout
    fetched = apt.fetched("deskside")
    assert fetched is not None
    assert first.read_bytes() == fetched.read_bytes()


def test_a_newer_package_is_an_upgrade_and_the_older_one_stays(
    archive: Archive, apt: Apt, tmp_path: Path
) -> None:
    archive.add(package(tmp_path, "0.9.0-1~deb12"))
    apt.install("0.9.0-1~deb12")
    apt.update()
    nothing = apt.run("apt-get", "--simulate", "upgrade").stdout
    archive.add(package(tmp_path, "0.10.0-1~deb12"))
    apt.update()

    assert "Inst" not in nothing
    assert (
        "Inst deskside [0.9.0-1~deb12] (0.10.0-1~deb12 Deskside:bookworm"
        in apt.run("apt-get", "--simulate", "upgrade").stdout
    )
    assert ["0.10.0-1~deb12", "0.9.0-1~deb12"] == [
        line.split("|")[1].strip() for line in apt.run("apt-cache", "madison", "deskside").stdout.splitlines()
    ]


def test_each_release_gets_the_package_that_was_built_for_it(
    archive: Archive, folder: Path, url: str, tmp_path: Path
) -> None:
    for_every_one = package(tmp_path, "1.0", name="deskside-model", architecture="all")
    built = {"bookworm": "0.1.0-1~deb12", "trixie": "0.1.0-1~deb13", "noble": "0.1.0-1~ubuntu24.04"}
    archive.add(for_every_one, *(package(tmp_path, version) for version in built.values()))

    for suite, version in built.items():
        apt = Apt(tmp_path / suite, url, folder / apt_repository.KEYRING, suite)
        assert 0 == apt.update().returncode
        offered = apt.run("apt-cache", "madison", "deskside", "deskside-model").stdout
        assert [version, "1.0"] == [line.split("|")[1].strip() for line in offered.splitlines()]


def test_a_package_for_a_release_that_is_not_known_is_refused(
    archive: Archive, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert 1 == archive.add(package(tmp_path, "0.1.0-1~deb99"))

    assert "is for deb99, which is none of deb12, deb13, ubuntu24.04" in capsys.readouterr().err
    assert {} == files_of(folder)


def test_a_repository_of_what_fits_every_release_has_no_suite(
    archive: Archive, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert 1 == archive.add(package(tmp_path, "1.0", name="deskside-model", architecture="all"))

    assert "no package that says which release it is for" in capsys.readouterr().err


def test_an_index_that_was_changed_is_refused(
    archive: Archive, apt: Apt, folder: Path, tmp_path: Path
) -> None:
    archive.add(package(tmp_path, "0.1.0-1~deb12"))
    for index in (folder / "dists").rglob("Packages*"):
        index.write_bytes(index.read_bytes().replace(b"0.1.0", b"6.6.6") + b"\n")

    updated = apt.update()

    assert 0 != updated.returncode
    assert "Candidate: 6.6.6-1~deb12" not in apt.run("apt-cache", "policy", "deskside").stdout


def test_a_release_that_was_changed_or_signed_by_somebody_else_is_refused(
    archive: Archive, apt: Apt, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive.add(package(tmp_path, "0.1.0-1~deb12"))
    keyring = (folder / apt_repository.KEYRING).read_bytes()
    signed = folder / "dists" / "bookworm" / "InRelease"
    whole = signed.read_text("utf-8")
    signed.write_text(whole.replace("Label: Deskside", "Label: Desksode"), "utf-8")
    changed = apt.update()

    signed.write_text(whole, "utf-8")
    assert 0 == apt.update().returncode
    with made_key() as of_somebody_else:
        elsewhere = Archive(tmp_path / "elsewhere", of_somebody_else, monkeypatch)
        elsewhere.add(package(tmp_path, "6.6.6-1~deb12"))
    shutil.rmtree(folder)
    shutil.copytree(elsewhere.folder, folder)
    (folder / apt_repository.KEYRING).write_bytes(keyring)
    taken_over = apt.update()

    assert 0 != changed.returncode
    assert 0 != taken_over.returncode
    assert "NO_PUBKEY" in taken_over.stderr
    assert "Candidate: 6.6.6-1~deb12" not in apt.run("apt-cache", "policy", "deskside").stdout


def test_a_package_that_was_changed_is_not_taken(
    archive: Archive, apt: Apt, folder: Path, tmp_path: Path
) -> None:
    archive.add(package(tmp_path, "0.1.0-1~deb12"))
    apt.update()
    [deb] = (folder / "pool").rglob("*.deb")
    deb.write_bytes(deb.read_bytes()[:-1] + b"!")

    assert apt.fetched("deskside") is None


def test_the_same_packages_give_the_same_bytes(
    archive: Archive, folder: Path, key: tuple[Path, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = package(tmp_path, "0.1.0-1~deb12"), package(tmp_path, "0.2.0-1~deb12")
    archive.add(first, second, url="https://apt.deskside.example")
    again = Archive(tmp_path / "again", key, monkeypatch)
    again.add(second, url="https://apt.deskside.example")
    again.add(first, url="https://apt.deskside.example")

    assert files_of(folder) == files_of(again.folder)
    assert "URIs: https://apt.deskside.example\nSuites: bookworm\n" in (
        folder / "deskside-bookworm.sources"
    ).read_text("utf-8")


def test_what_is_released_does_not_change(
    archive: Archive, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    archive.add(package(tmp_path, "0.1.0-1~deb12"))
    before = files_of(folder)

    assert 1 == archive.add(package(tmp_path, "0.1.0-1~deb12", content="other"))
    assert "Give the package a new version" in capsys.readouterr().err
    assert before == files_of(folder)


def test_a_key_that_users_do_not_trust_is_refused(
    archive: Archive,
    folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    archive.add(package(tmp_path, "0.1.0-1~deb12"))
    with made_key() as other:
        assert 1 == Archive(folder, other, monkeypatch).add()

    assert "the one that users trust" in capsys.readouterr().err


def test_what_is_no_package_is_said_to_be_none(
    archive: Archive, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "no.deb").write_text("nothing", "utf-8")

    assert 1 == archive.add(tmp_path / "no.deb")
    assert "is no package" in capsys.readouterr().err
    assert 1 == archive.add()
    assert "holds no package" in capsys.readouterr().err
