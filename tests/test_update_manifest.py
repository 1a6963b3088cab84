"""Making `latest.json`: what a release says of itself is what the program reads."""

from __future__ import annotations

import io
import json
import stat
from contextlib import redirect_stdout
from pathlib import Path

import pytest

import update_manifest
from deskside.backend.updates.manifest import read_manifest

CHANGELOG = """\
# Changelog

## Unreleased

- Nobody has this yet.

## 0.10.0 (2026-12-24)

- **Newer.**
- Two.

### Repaired

- Three.

## 0.9.1 (2026-12-01)

- Older.
"""
DOWNLOAD = ("--download", "linux=https://deskside.example/linux")


@pytest.fixture
def changelog(tmp_path: Path) -> Path:
    path = tmp_path / "CHANGELOG.md"
    path.write_text(CHANGELOG, "utf-8")
    return path


@pytest.fixture
def key(tmp_path: Path) -> Path:
    """The private half; the public one is beside it."""
    with io.StringIO() as printed, redirect_stdout(printed):
        assert 0 == update_manifest.main(["new-key", str(tmp_path / "key.pem"), "--no-passphrase"])
        (tmp_path / "key.pub").write_text(printed.getvalue().strip(), "utf-8")
    return tmp_path / "key.pem"


def public_half(key: Path) -> str:
    return key.with_suffix(".pub").read_text("utf-8")


def make(changelog: Path, key: Path, *more: str) -> Path | None:
    """The file, or None where the script refused."""
    out = key.parent / "dist" / "latest.json"
    out.unlink(missing_ok=True)
    arguments = ["make", "--key", str(key), "--changelog", str(changelog), "--out", str(out), *more]
    code = update_manifest.main(arguments)
    assert out.exists() == (code == 0)
    return out if code == 0 else None


def test_the_program_reads_what_the_changelog_says(
    changelog: Path, key: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1796000000")
    made = make(changelog, key, "--other-key", "--oldest-supported", "0.9.0", *DOWNLOAD)

    assert made is not None
    read = read_manifest(made.read_bytes(), [public_half(key)])
    assert [("0.10.0", "2026-12-24"), ("0.9.1", "2026-12-01")] == [
        (release.version, release.date) for release in read.releases
    ]
    assert "- **Newer.**\n- Two.\n\n### Repaired\n\n- Three." == read.releases[0].notes
    assert 1_796_000_000_000 == read.signed_ms
    assert "0.9.0" == read.oldest_supported
    assert {"linux": "https://deskside.example/linux"} == read.downloads


def test_the_same_files_give_the_same_bytes(
    changelog: Path, key: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1796000000")
    first, second = ((make(changelog, key, "--other-key") or key).read_bytes() for _ in range(2))

    assert first == second


def test_the_private_half_is_for_its_owner_alone_and_never_overwritten(
    key: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = key.read_bytes()

    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    assert 1 == update_manifest.main(["new-key", str(key), "--no-passphrase"])
    assert "is there already" in capsys.readouterr().err
    assert before == key.read_bytes()


def test_a_key_with_a_passphrase_is_of_no_use_without_it(
    changelog: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    given = iter(["plum", "plum", "plum", "pear"])
    monkeypatch.setattr(update_manifest, "getpass", lambda prompt: next(given))
    key = tmp_path / "key.pem"
    assert 0 == update_manifest.main(["new-key", str(key)])

    assert b"ENCRYPTED" in key.read_bytes()
    assert make(changelog, key, "--other-key") is not None
    assert make(changelog, key, "--other-key") is None
    assert "cannot be opened" in capsys.readouterr().err


def test_a_key_that_no_program_knows_is_refused(
    changelog: Path, key: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert make(changelog, key) is None
    said = capsys.readouterr().err
    assert "no Deskside would believe it" in said
    assert public_half(key) in said


@pytest.mark.parametrize(
    ("changelog_text", "arguments", "reason"),
    [
        ("# Changelog\n\n## Unreleased\n\n- Nothing.\n", [], "The changelog has no release"),
        (CHANGELOG.replace("0.9.1", "0.11.0"), [], "cannot read"),
        (CHANGELOG, ["--download", "linux=http://deskside.example"], "cannot read"),
        (CHANGELOG, ["--download", "plan9=https://deskside.example"], "cannot read"),
        (CHANGELOG, ["--download", "linux"], "is not SYSTEM=URL"),
        (CHANGELOG, ["--oldest-supported", "1.0.0"], "is newer than 0.10.0"),
    ],
)
def test_what_no_program_could_use_is_not_made(
    changelog: Path,
    key: Path,
    capsys: pytest.CaptureFixture[str],
    changelog_text: str,
    arguments: list[str],
    reason: str,
) -> None:
    changelog.write_text(changelog_text, "utf-8")

    assert make(changelog, key, "--other-key", *arguments) is None
    assert reason in capsys.readouterr().err


def test_what_was_made_can_be_shown(changelog: Path, key: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made = make(changelog, key, "--other-key", *DOWNLOAD)
    capsys.readouterr()

    assert 0 == update_manifest.main(["show", str(made), "--public-key", public_half(key)])
    assert "0.10.0" == json.loads(capsys.readouterr().out)["releases"][0]["version"]
    assert 1 == update_manifest.main(["show", str(made)])
    assert "not signed" in capsys.readouterr().err
