"""The encrypted file: what it keeps, what it refuses, and what can be read in it without the passphrase."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from deskside.backend.secret_file import FileDamaged, FileLocked, SecretFile, WrongPassphrase

PASSPHRASE = "correct horse battery"
PLANTED = "sk-planted-0123456789abcdef"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "data" / "keys.json"


@pytest.fixture
def unlocked(path: Path) -> SecretFile:
    file = SecretFile(path)
    file.create(PASSPHRASE)
    file.write("openai", PLANTED)
    return file


def change(path: Path, **fields: Any) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | fields))


def test_a_secret_comes_back_in_the_next_start(path: Path, unlocked: SecretFile) -> None:
    again = SecretFile(path)
    again.unlock(PASSPHRASE)

    assert again.read("openai") == PLANTED
    assert again.read("anthropic") is None


def test_neither_the_secret_nor_the_passphrase_is_in_the_file(path: Path, unlocked: SecretFile) -> None:
    content = path.read_bytes()

    assert b"openai" in content
    assert PLANTED.encode() not in content
    assert PASSPHRASE.encode() not in content


def test_the_same_secret_is_never_encrypted_the_same_way(path: Path, unlocked: SecretFile) -> None:
    first = json.loads(path.read_text())["items"]["openai"]
    unlocked.write("openai", PLANTED)

    assert json.loads(path.read_text())["items"]["openai"] != first


@pytest.mark.skipif(os.name != "posix", reason="Windows has no mode bits; the folder's rights are inherited")
def test_only_the_user_can_read_the_file(path: Path, unlocked: SecretFile) -> None:
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700


def test_nothing_is_left_beside_the_file(path: Path, unlocked: SecretFile) -> None:
    assert [path] == list(path.parent.iterdir())


def test_a_wrong_passphrase_is_refused_and_says_what_to_do(path: Path, unlocked: SecretFile) -> None:
    again = SecretFile(path)

    with pytest.raises(WrongPassphrase) as refused:
        again.unlock(PASSPHRASE + "!")
    assert "delete the keys" in refused.value.hint
    assert not again.is_unlocked
    with pytest.raises(FileLocked):
        again.read("openai")


def test_the_form_in_which_a_keyboard_writes_accents_does_not_matter(path: Path) -> None:
    SecretFile(path).create("caf\u00e9 au lait")

    SecretFile(path).unlock("cafe\u0301 au lait")


def test_a_box_does_not_open_under_another_name(path: Path, unlocked: SecretFile) -> None:
    items = json.loads(path.read_text())["items"]
    change(path, items={"anthropic": items["openai"]})

    with pytest.raises(FileDamaged, match="changed outside"):
        unlocked.read("anthropic")


def test_a_file_that_is_no_text_is_damaged(path: Path, unlocked: SecretFile) -> None:
    path.write_bytes(b'{"format": "\xff"}')

    with pytest.raises(FileDamaged):
        unlocked.read("openai")


@pytest.mark.parametrize("flip", ["A", "/"])
def test_a_changed_box_is_noticed(path: Path, unlocked: SecretFile, flip: str) -> None:
    box = json.loads(path.read_text())["items"]["openai"]
    change(path, items={"openai": flip * 4 + box[4:]})

    with pytest.raises(FileDamaged):
        unlocked.read("openai")


@pytest.mark.parametrize(
    "fields",
    [{"version": 2}, {"format": "other"}, {"items": []}, {"check": "no base64!"}, {"extra": 1}],
    ids=lambda fields: next(iter(fields)),
)
def test_a_file_of_another_format_is_refused_and_left_alone(
    path: Path, unlocked: SecretFile, fields: dict[str, Any]
) -> None:
    change(path, **fields)
    before = path.read_bytes()

    with pytest.raises(FileDamaged):
        SecretFile(path).unlock(PASSPHRASE)
    assert path.read_bytes() == before


@pytest.mark.parametrize("field", ["memory_kib", "iterations", "lanes"])
def test_parameters_that_would_stall_the_machine_are_refused(
    path: Path, unlocked: SecretFile, field: str
) -> None:
    change(path, kdf=json.loads(path.read_text())["kdf"] | {field: 1 << 40})

    with pytest.raises(FileDamaged):
        SecretFile(path).unlock(PASSPHRASE)


def test_parameters_are_read_from_the_file(path: Path, unlocked: SecretFile) -> None:
    change(path, kdf=json.loads(path.read_text())["kdf"] | {"iterations": 4})

    with pytest.raises(WrongPassphrase):
        SecretFile(path).unlock(PASSPHRASE)


def test_an_item_can_be_deleted_without_the_passphrase(path: Path, unlocked: SecretFile) -> None:
    unlocked.write("anthropic", PLANTED)
    locked = SecretFile(path)

    locked.remove("openai")

    assert not locked.has("openai")
    assert unlocked.read("anthropic") == PLANTED


def test_the_file_goes_with_its_last_item_so_that_a_lost_passphrase_is_no_dead_end(
    path: Path, unlocked: SecretFile
) -> None:
    SecretFile(path).remove("openai")

    assert not path.exists()
    SecretFile(path).create("a new passphrase")


def test_creating_never_replaces_a_file(path: Path, unlocked: SecretFile) -> None:
    with pytest.raises(FileExistsError):
        SecretFile(path).create("another passphrase")

    assert unlocked.read("openai") == PLANTED


def test_a_file_that_another_program_made_anew_is_locked(path: Path, unlocked: SecretFile) -> None:
    path.unlink()
    SecretFile(path).create("another passphrase")

    assert not unlocked.is_unlocked
    with pytest.raises(FileLocked):
        unlocked.write("openai", PLANTED)


def test_a_failed_write_leaves_the_old_file(
    path: Path, unlocked: SecretFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = path.read_bytes()

    def no_space(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", no_space)
    with pytest.raises(Exception, match="No space left"):
        unlocked.write("anthropic", PLANTED)

    assert path.read_bytes() == before
    assert [path] == list(path.parent.iterdir())
