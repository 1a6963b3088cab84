"""Encrypted backups: files of age, for a key pair whose private half is encrypted with the passphrase.

The passphrase is used when the pair is made and when a backup is opened, and is kept nowhere. A file is
encrypted for a second, passing pair as well, whose private half never leaves memory: with it the finished
file is decrypted again and compared, which no other way would allow without the passphrase.
"""

from __future__ import annotations

import hashlib
import hmac
import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

import msgspec

from deskside.backend.backups import age_passphrase
from deskside.backend.backups.manifest import Encryption
from deskside.backend.backups.progress import Phase, Report, quiet
from deskside.backend.durable import make_private, sync
from deskside.backend.errors import AppError, Conflict, StoreDamaged

SHORTEST_PASSPHRASE = 8
# One piece at a time is told; age itself works in 64 KiB.
REPORT_BYTES = 4 << 20


class WrongPassphrase(AppError):
    code = "wrong_passphrase"
    default_hint = "Type it again. Nobody can open the backup without it."


class Encrypting(msgspec.Struct, frozen=True):
    """What making encrypted backups takes; `name_key` gives attached files their names, so that these do not
    say what is in them. It is derived from the private key."""

    recipient: str
    identity: str
    name_key: str

    @property
    def told(self) -> Encryption:
        """What a manifest says of it."""
        return Encryption(self.recipient, self.identity)


class Opened:
    """An identity in memory, for as long as something is decrypted."""

    def __init__(self, secret: str) -> None:
        from pyrage import x25519

        self.identity = x25519.Identity.from_str(secret)
        self.name_key = _name_key(secret)


def new_encryption(passphrase: str) -> Encrypting:
    """Make a key pair and close it with the passphrase. Takes about a second: what a guess costs, too."""
    from pyrage import x25519

    identity = x25519.Identity.generate()
    secret = str(identity)
    closed = age_passphrase.close(f"{secret}\n".encode(), _normal(passphrase))
    return Encrypting(str(identity.to_public()), closed, _name_key(secret))


def open_identity(encryption: Encryption, passphrase: str) -> Opened:
    """Raises WrongPassphrase, StoreDamaged; Conflict on a computer that is too busy. Takes about a second."""
    from pyrage import DecryptError
    from pyrage import passphrase as by_passphrase

    try:
        secret = by_passphrase.decrypt(encryption.identity.encode(), _normal(passphrase))
        return Opened(secret.decode().strip())
    except DecryptError as error:
        if "work" in str(error):  # age measures the machine: here it would take sixteen seconds and more
            raise Conflict(
                "This computer is too busy just now to open the backup.",
                hint="Close what keeps it busy, then try again.",
            ) from error
        raise WrongPassphrase("The passphrase does not open this backup.") from error
    except (ValueError, OSError) as error:
        raise StoreDamaged("The key of this backup is damaged.", hint="Choose another backup.") from error


def encrypt(source: Path, target: Path, encryption: Encrypting, report: Report = quiet) -> None:
    """Make `target`, durably, and decrypt it again to see that it holds what `source` does. Raises
    StoreDamaged, OSError; Cancelled, which leaves a part of `target`."""
    import pyrage
    from pyrage import x25519

    passing = x25519.Identity.generate()
    recipients = [x25519.Recipient.from_str(encryption.recipient), passing.to_public()]
    make_private(target)
    size = source.stat().st_size
    with source.open("rb") as plain, target.open("wb") as closed:
        reader = _Reader(plain, _telling(report, "encrypting", size))
        pyrage.encrypt_io(reader, closed, recipients)
    sync(target)
    back = _Digest(_telling(report, "checking", size))
    with target.open("rb") as closed:
        _decrypt(closed, back, passing, str(target))
    if back.digest() != reader.digest():
        raise StoreDamaged(f"{target} is not what was written.", hint="Check the disk, then try again.")


def decrypt(source: Path, target: Path, opened: Opened, report: Report = quiet) -> str:
    """Make `target` and return its SHA-256. Raises StoreDamaged where the file is not whole and in its
    order, WrongPassphrase where it is for another key; both leave a part of `target`."""
    make_private(target)
    size = source.stat().st_size
    with source.open("rb") as closed, target.open("wb") as plain:
        writer = _Digest(_telling(report, "decrypting", size), plain)
        _decrypt(closed, writer, opened.identity, str(source))
    return writer.digest()


def file_name(name_key: str, sha256: str) -> str:
    """What an encrypted attached file is called."""
    return hmac.digest(bytes.fromhex(name_key), sha256.encode(), "sha256").hex() + ".age"


def _decrypt(closed: BinaryIO, writer: _Digest, identity: object, name: str) -> None:
    import pyrage

    try:
        pyrage.decrypt_io(closed, writer, [identity])
    except pyrage.DecryptError as error:
        raise StoreDamaged(
            f"{name} is damaged, or encrypted for somebody else.", hint="Choose another backup."
        ) from error
    except OSError as error:
        if error.errno is not None:  # the disk's, not age's
            raise
        raise StoreDamaged(f"{name} is damaged.", hint="Choose another backup.") from error


def _telling(report: Report, phase: Phase, size: int) -> Callable[[int], None]:
    done = told = 0

    def tell(count: int) -> None:
        nonlocal done, told
        done += count
        if done - told >= REPORT_BYTES:
            told = done
            report(phase, min(1.0, done / max(1, size)))

    return tell


class _Reader:
    """What age reads from. Its Python is also where other threads get their turn."""

    def __init__(self, file: BinaryIO, tell: Callable[[int], None]) -> None:
        self._file = file
        self._tell = tell
        self._digest = hashlib.sha256()

    def read(self, size: int) -> bytes:
        piece = self._file.read(size)
        self._digest.update(piece)
        self._tell(len(piece))
        return piece

    def digest(self) -> str:
        return self._digest.hexdigest()


class _Digest:
    """What age writes to: the SHA-256 of all that was written, and a file."""

    def __init__(self, tell: Callable[[int], None], file: BinaryIO | None = None) -> None:
        self._file = file
        self._tell = tell
        self._digest = hashlib.sha256()

    def write(self, piece: bytes) -> int:
        self._digest.update(piece)
        if self._file is not None:
            self._file.write(piece)
        self._tell(len(piece))
        return len(piece)

    def flush(self) -> None:
        if self._file is not None:
            self._file.flush()

    def digest(self) -> str:
        return self._digest.hexdigest()


def _name_key(secret: str) -> str:
    return hmac.digest(secret.encode(), b"deskside-backup file names", "sha256").hex()


def _normal(passphrase: str) -> str:
    # NFC: an "é" is one character from most keyboards and two from some of macOS's.
    return unicodedata.normalize("NFC", passphrase)
