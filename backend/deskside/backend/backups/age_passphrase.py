"""A few bytes closed with a passphrase, as an age file with the work factor that age itself uses.

pyrage measures the machine first, and takes as much work as that does in a second at that moment. So a key
that was closed on a fast computer could be refused on a slow or a busy one ("excessive work"), just when a
backup is wanted. The work of a guess must not depend on the hour: WORK_FACTOR is fixed.

Source: age-encryption.org/v1, https://age-encryption.org/v1 (scrypt recipient stanza, header MAC, payload).
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import textwrap

# Base 2 logarithm of scrypt's N, with r = 8 and p = 1: about a second and 256 MiB for each guess.
WORK_FACTOR = 18
_VERSION = b"age-encryption.org/v1"
_MEMORY = 2 * 128 * 8 << WORK_FACTOR  # what OpenSSL may use: N blocks, and room
_ONLY_CHUNK = bytes(11) + b"\x01"  # counter 0, and that no other follows
_LONGEST = 64 * 1024


def close(plain: bytes, passphrase: str) -> str:
    """An armored age file that the passphrase opens. Takes about a second. At most 64 KiB."""
    assert 0 < len(plain) <= _LONGEST
    from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

    salt, file_key, nonce = os.urandom(16), os.urandom(16), os.urandom(16)
    wrapping_key = hashlib.scrypt(
        passphrase.encode(),
        salt=_VERSION + b"/scrypt" + salt,
        n=1 << WORK_FACTOR,
        r=8,
        p=1,
        dklen=32,
        maxmem=_MEMORY,
    )
    wrapped = ChaCha20Poly1305(wrapping_key).encrypt(bytes(12), file_key, None)
    header = b"%s\n-> scrypt %s %d\n%s\n---" % (_VERSION, _base64(salt), WORK_FACTOR, _base64(wrapped))
    mac = hmac.digest(_derived(file_key, b"", b"header"), header, "sha256")
    payload = ChaCha20Poly1305(_derived(file_key, nonce, b"payload")).encrypt(_ONLY_CHUNK, plain, None)
    return _armored(header + b" " + _base64(mac) + b"\n" + nonce + payload)


def _derived(file_key: bytes, salt: bytes, what_for: bytes) -> bytes:
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.kdf.hkdf import HKDF

    return HKDF(SHA256(), 32, salt, what_for).derive(file_key)


def _base64(content: bytes) -> bytes:
    return base64.b64encode(content).rstrip(b"=")


def _armored(file: bytes) -> str:
    lines = textwrap.wrap(base64.b64encode(file).decode(), 64)
    return "\n".join(("-----BEGIN AGE ENCRYPTED FILE-----", *lines, "-----END AGE ENCRYPTED FILE-----", ""))
