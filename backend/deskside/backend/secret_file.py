"""A file of secrets, encrypted with a passphrase: for machines that have no keychain.

    {
      "format": "deskside-secrets",
      "version": 1,
      "kdf": {"name": "argon2id", "salt": B64, "memory_kib": 65536, "iterations": 3, "lanes": 4},
      "check": BOX,
      "items": {NAME: BOX}
    }

The passphrase, in Unicode NFC and UTF-8, becomes a key of 256 bits through Argon2id with the parameters
in the file (the second recommended option of RFC 9106). BOX is base64 of a random 96-bit nonce followed
by AES-256-GCM of the text. The associated data is `deskside-secrets:1:check` for the check and
`deskside-secrets:1:item:NAME` for an item, so that a box does not open under another name.

Who may write to the folder can delete items or put an old file back, and can read the names; without
the passphrase they can neither read a secret nor put another in its place.

Names are visible, so that an item can be deleted without the passphrase: that is the way out for a user
who forgot it. The passphrase is not kept, only the derived key, in memory. The file is written whole,
flushed to the disk and renamed into place, mode 0600.
"""

from __future__ import annotations

import secrets
import unicodedata
from pathlib import Path
from typing import Annotated, Literal

import msgspec

from deskside.backend.durable import write_durably
from deskside.backend.errors import KeychainUnavailable

FORMAT = "deskside-secrets"
NONCE_BYTES = 12
SALT_BYTES = 16
KEY_BYTES = 32
CHECK_TEXT = b"deskside"

# What Argon2 accepts, and an end: a file that somebody changed must not take all memory, or an hour.
Memory = Annotated[int, msgspec.Meta(ge=1 << 10, le=1 << 20)]
Iterations = Annotated[int, msgspec.Meta(ge=1, le=20)]
Lanes = Annotated[int, msgspec.Meta(ge=1, le=16)]


class Kdf(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How the key comes from the passphrase. The defaults take about 0.1 s and 64 MiB."""

    salt: Annotated[bytes, msgspec.Meta(min_length=8, max_length=64)]
    name: Literal["argon2id"] = "argon2id"
    memory_kib: Memory = 65_536
    iterations: Iterations = 3
    lanes: Lanes = 4


class Contents(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    kdf: Kdf
    check: bytes
    items: dict[str, bytes]
    format: Literal["deskside-secrets"] = "deskside-secrets"
    version: Literal[1] = 1


class WrongPassphrase(KeychainUnavailable):
    default_hint = (
        "Type it again. If it is lost, delete the keys that are kept in the file, "
        "then add them again with a new passphrase."
    )


class FileLocked(KeychainUnavailable):
    default_hint = "Enter the passphrase in Settings, under Keys."


class FileDamaged(KeychainUnavailable):
    pass


class SecretFile:
    """The file at `path`. Blocks for disk and key derivation: call it in a thread, one call at a time.

    Every method reads the file again, so that two programs see each other's changes.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._key = b""
        self._kdf: Kdf | None = None

    @property
    def exists(self) -> bool:
        return self._path.exists()

    @property
    def is_unlocked(self) -> bool:
        """True while the key in memory is the one of the file on the disk."""
        return self.exists and self._kdf is not None and self._kdf == self._load().kdf

    def has(self, name: str) -> bool:
        """True when there is such an item, also while locked. Raises FileDamaged."""
        return self.exists and name in self._load().items

    def create(self, passphrase: str) -> None:
        """Make an empty file and leave it unlocked. A file that is there stays as it is: FileExistsError."""
        if self.exists:
            raise FileExistsError(str(self._path))
        kdf = Kdf(salt=secrets.token_bytes(SALT_BYTES))
        key = _derive(kdf, passphrase)
        self._save(Contents(kdf=kdf, check=_seal(key, "check", CHECK_TEXT), items={}))
        self._kdf, self._key = kdf, key

    def unlock(self, passphrase: str) -> None:
        """Derive the key and keep it. Raises WrongPassphrase, FileDamaged."""
        contents = self._load()
        key = _derive(contents.kdf, passphrase)
        if _open(key, "check", contents.check) != CHECK_TEXT:
            raise WrongPassphrase("The passphrase does not open the file of keys.")
        self._kdf, self._key = contents.kdf, key

    def read(self, name: str) -> str | None:
        """The secret, None when there is no such item. Raises FileLocked, FileDamaged."""
        contents = self._unlocked()
        box = contents.items.get(name)
        if box is None:
            return None
        text = _open(self._key, f"item:{name}", box)
        if text is None:
            raise FileDamaged(
                f"The key of {name!r} in {self._path.name} was changed outside Deskside.",
                hint="Delete this key and add it again.",
            )
        return text.decode()

    def write(self, name: str, secret: str) -> None:
        """Store a secret, replacing the old one. Raises FileLocked, FileDamaged."""
        contents = self._unlocked()
        box = _seal(self._key, f"item:{name}", secret.encode())
        self._save(msgspec.structs.replace(contents, items={**contents.items, name: box}))

    def remove(self, name: str) -> None:
        """Remove an item, also while locked; the file goes with its last item, and so does the passphrase."""
        if not self.exists:
            return
        contents = self._load()
        items = {other: box for other, box in contents.items.items() if other != name}
        if items:
            self._save(msgspec.structs.replace(contents, items=items))
        else:
            self._path.unlink(missing_ok=True)
            self._kdf, self._key = None, b""

    def _unlocked(self) -> Contents:
        contents = self._load()
        if self._kdf != contents.kdf:
            raise FileLocked("The file of keys is locked.")
        return contents

    def _load(self) -> Contents:
        try:
            return msgspec.json.decode(self._path.read_bytes(), type=Contents)
        except FileNotFoundError:
            raise FileLocked("The file of keys is gone.") from None
        except OSError as error:
            raise FileDamaged(f"{self._path} cannot be read: {error.strerror}.") from error
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise FileDamaged(
                f"{self._path} is damaged, or was written by a newer Deskside.",
                hint="Move the file away, then add your keys again.",
            ) from error

    def _save(self, contents: Contents) -> None:
        try:
            write_durably(self._path, msgspec.json.format(msgspec.json.encode(contents)))
        except OSError as error:
            raise KeychainUnavailable(
                f"{self._path} cannot be written: {error.strerror}.",
                hint="Free some disk space, or give your user the right to write there, then try again.",
            ) from error


def _derive(kdf: Kdf, passphrase: str) -> bytes:
    from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

    # NFC: an "é" is one character from most keyboards and two from some of macOS's.
    text = unicodedata.normalize("NFC", passphrase).encode()
    return Argon2id(
        salt=kdf.salt,
        length=KEY_BYTES,
        iterations=kdf.iterations,
        lanes=kdf.lanes,
        memory_cost=kdf.memory_kib,
    ).derive(text)


def _seal(key: bytes, what: str, text: bytes) -> bytes:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    nonce = secrets.token_bytes(NONCE_BYTES)
    return nonce + AESGCM(key).encrypt(nonce, text, _bound_to(what))


def _open(key: bytes, what: str, box: bytes) -> bytes | None:
    """The text, or None when the key is another or the box is not what was sealed under this name."""
    from cryptography.exceptions import InvalidTag
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    if len(box) <= NONCE_BYTES:
        return None
    try:
        return AESGCM(key).decrypt(box[:NONCE_BYTES], box[NONCE_BYTES:], _bound_to(what))
    except InvalidTag:
        return None


def _bound_to(what: str) -> bytes:
    return f"{FORMAT}:1:{what}".encode()
