"""The operating system's keychain, behind a deadline.

The backend is chosen here, from a closed list: left to itself, keyring would also take one that keeps
secrets in plain text, or one that keeps nothing and says nothing.

A keychain can show a prompt, wait for a service that never answers, or answer after we stopped waiting.
So each call runs in a daemon thread of its own, which neither blocks the loop nor holds up the exit, and
there is at most one such thread: while an abandoned one still waits, every call is refused at once.
"""

from __future__ import annotations

import asyncio
import os
import sys
import threading
from collections.abc import Callable, Mapping
from contextlib import closing, suppress
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Generic, Literal, TypeVar

from deskside.backend.errors import InvalidRequest, KeychainUnavailable

T = TypeVar("T")

SERVICE = "deskside"
"""What our entries are called in the system's own program; the account is the provider."""

LONGEST_SECRET = 1_280
"""Characters. Windows keeps 2,560 bytes of UTF-16 an entry."""

# A reply of a healthy keychain takes about 10 ms. A daemon that D-Bus has to start first takes about a
# second on a slow disk; one that has not answered by now is dead, and D-Bus itself would wait for 25 s.
QUICK_S = 6.0

# A person finds the prompt behind the window, and types a password, perhaps twice. GNOME's own prompt
# stays for two minutes after that.
PROMPT_S = 120.0

SECRET_SERVICE = "keyring.backends.SecretService"
_SWITCHED_OFF = ("keyring.backends.fail.Keyring", "keyring.backends.null.Keyring")


@dataclass(frozen=True)
class Keychain:
    """One kind of keychain that the keyring library knows. `asks` is True where reading an entry can
    show a prompt and there is no way to know beforehand."""

    module: str
    class_name: str
    label: str
    asks: bool = True


KEYCHAINS: Mapping[str, tuple[Keychain, ...]] = {
    "linux": (
        Keychain(SECRET_SERVICE, "Keyring", "Secret Service", asks=False),
        Keychain("keyring.backends.libsecret", "Keyring", "Secret Service (libsecret)"),
        Keychain("keyring.backends.kwallet", "DBusKeyring", "KWallet"),
        Keychain("keyring.backends.kwallet", "DBusKeyringKWallet4", "KWallet 4"),
    ),
    "darwin": (Keychain("keyring.backends.macOS", "Keyring", "macOS Keychain"),),
    "win32": (
        Keychain("keyring.backends.Windows", "WinVaultKeyring", "Windows Credential Manager", asks=False),
    ),
}


@dataclass(frozen=True)
class Look:
    """What was found without showing a prompt. `reads_quietly` says that entries can be read without
    one, too."""

    state: Literal["ready", "locked", "missing"]
    backend: str
    hint: str
    reads_quietly: bool = False


class SystemKeychain:
    """Reads, writes and removes secrets. Every method raises KeychainUnavailable when there is no
    keychain, when it is locked and stays so, or when it does not answer in time."""

    def __init__(
        self, environ: Mapping[str, str] = os.environ, *, quick_s: float = QUICK_S, prompt_s: float = PROMPT_S
    ) -> None:
        self._is_off = environ.get("PYTHON_KEYRING_BACKEND") in _SWITCHED_OFF
        self._quick_s = quick_s
        self._prompt_s = prompt_s
        self._turn = asyncio.Lock()
        self._abandoned: threading.Thread | None = None

    async def look(self) -> Look:
        """Say which keychain there is and whether it is open. Shows no prompt and raises nothing."""
        try:
            return await self._look()
        except KeychainUnavailable as error:
            return Look("locked", "", f"{error.message} {error.hint}")

    async def read(self, account: str) -> str | None:
        """The secret, or None when there is no such entry (any more)."""
        return await self._with_backend(lambda backend: backend.get_password(SERVICE, account))

    async def write(self, account: str, secret: str) -> None:
        """Store a secret, replacing the account's old one."""
        if len(secret) > LONGEST_SECRET:
            raise InvalidRequest(f"A key can have up to {LONGEST_SECRET} characters.", hint="Copy it again.")
        await self._with_backend(lambda backend: backend.set_password(SERVICE, account, secret))

    async def remove(self, account: str) -> None:
        """Remove an entry; no error when there is none."""
        await self._with_backend(lambda backend: _remove(backend, account))

    async def _look(self) -> Look:
        if self._is_off:
            return Look("missing", "", _missing_hint("It is switched off by PYTHON_KEYRING_BACKEND."))
        return await self._in_thread(_look, self._quick_s, patience_s=self._quick_s)

    async def _with_backend(self, use: Callable[[Any], T]) -> T:
        look = await self._look()
        if look.state == "missing":
            raise KeychainUnavailable("There is no system keychain.", hint=look.hint)
        if look.state == "locked":
            await self._in_thread(_unlock, self._prompt_s, patience_s=self._prompt_s)
        timeout_s = self._quick_s if look.reads_quietly else self._prompt_s
        return await self._in_thread(lambda: _use(use), timeout_s, patience_s=self._prompt_s)

    async def _in_thread(self, call: Callable[[], T], timeout_s: float, *, patience_s: float) -> T:
        """Run `call` in a thread of its own for up to `timeout_s`, after waiting up to `patience_s` for
        the one before it."""
        waiting = KeychainUnavailable(
            "The system keychain is waiting for an answer.", hint="Look for its window, and answer it."
        )
        try:
            async with asyncio.timeout(patience_s):
                await self._turn.acquire()
        except TimeoutError:
            raise waiting from None
        try:
            if self._abandoned is not None and self._abandoned.is_alive():
                raise waiting
            return await self._outcome(call, timeout_s)
        finally:
            self._turn.release()

    async def _outcome(self, call: Callable[[], T], timeout_s: float) -> T:
        errand = _Errand(call)
        thread = threading.Thread(target=errand.run, name="keychain", daemon=True)
        thread.start()
        try:
            async with asyncio.timeout(timeout_s):
                return await errand.outcome
        except TimeoutError:
            raise KeychainUnavailable(f"The system keychain did not answer in {timeout_s:g} s.") from None
        finally:
            if errand.outcome.cancelled():
                self._abandoned = thread


class _Errand(Generic[T]):
    """A call that runs in a thread, and its outcome, good or bad, in a future of the loop's."""

    def __init__(self, call: Callable[[], T]) -> None:
        self._call = call
        self._loop = asyncio.get_running_loop()
        self.outcome: asyncio.Future[T] = self._loop.create_future()

    def run(self) -> None:
        with self:
            self._settle(self.outcome.set_result, self._call())

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> Literal[True]:
        # Whatever it is, it is raised again on the loop, in the caller.
        if error is not None:
            self._settle(self.outcome.set_exception, error)
        return True

    def _settle(self, resolve: Callable[[Any], None], value: object) -> None:
        def unless_given_up() -> None:
            if not self.outcome.done():
                resolve(value)

        # A closed loop: the program ended while the keychain kept us waiting, and nobody is left to tell.
        with suppress(RuntimeError):
            self._loop.call_soon_threadsafe(unless_given_up)


# -- in the thread -----------------------------------------------------------------------------------


def _look() -> Look:
    backend, kind = _choose()
    if backend is None or kind is None:
        return Look("missing", "", _missing_hint("No system keychain was found."))
    try:
        is_locked = kind.module == SECRET_SERVICE and _is_locked()
    except _foreign_errors() as error:
        raise KeychainUnavailable(f"The system keychain failed ({type(error).__name__}).") from error
    if is_locked:
        hint = "Unlock your keyring, or answer its prompt when a key is needed."
        return Look("locked", kind.label, hint, reads_quietly=not kind.asks)
    return Look("ready", kind.label, "", reads_quietly=not kind.asks)


def _choose() -> tuple[Any, Keychain | None]:
    """The best keychain that works here, by keyring's own ranking, and None when there is none.

    `priority` raises RuntimeError for "not here". Building the backend costs nothing.
    """
    best: tuple[Any, Keychain | None] = (None, None)
    best_rank = 0.0
    for kind in KEYCHAINS.get(sys.platform, ()):
        backend_class = getattr(import_module(kind.module), kind.class_name)
        not_here: tuple[type[Exception], ...] = (RuntimeError, *_foreign_errors())
        try:
            rank = float(backend_class.priority)
        except not_here:
            continue
        if rank > best_rank:
            best, best_rank = (backend_class(), kind), rank
    return best


def _use(use: Callable[[Any], T]) -> T:
    """Call the chosen backend and put its many ways to fail in our words.

    Their texts are kept out of ours: they name services and paths, and help no user.
    """
    from keyring import errors

    backend, _kind = _choose()
    if backend is None:
        raise KeychainUnavailable("There is no system keychain.")
    locked: tuple[type[Exception], ...] = (errors.KeyringLocked, errors.InitError)
    failed: tuple[type[Exception], ...] = (errors.KeyringError, *_foreign_errors())
    try:
        return use(backend)
    except locked as error:
        raise KeychainUnavailable("The system keychain is locked and was not unlocked.") from error
    except failed as error:
        raise KeychainUnavailable(f"The system keychain failed ({type(error).__name__}).") from error


def _remove(backend: Any, account: str) -> None:
    # Backends disagree on what deleting nothing raises, so they are not asked to.
    if backend.get_password(SERVICE, account) is not None:
        backend.delete_password(SERVICE, account)


# keyring has no question for "is it locked?", and leaves its connection open when the answer to the prompt
# is no. So with the Secret Service both are asked here, one level below it.


def _is_locked() -> bool:
    """True when the default collection is locked, or does not exist yet: both end in a prompt."""
    import secretstorage

    with closing(secretstorage.dbus_init()) as connection:
        try:
            return bool(secretstorage.get_collection_by_alias(connection, "default").is_locked())
        except secretstorage.ItemNotFoundException:
            return True


def _unlock() -> None:
    """Show the prompt and wait for its answer; KeychainUnavailable when that is no."""
    import secretstorage

    try:
        with closing(secretstorage.dbus_init()) as connection:
            collection = secretstorage.get_default_collection(connection)
            if not collection.is_locked():
                return
            collection.unlock()
            if not collection.is_locked():
                return
    except _foreign_errors() as error:
        raise KeychainUnavailable("The system keychain could not be unlocked.") from error
    raise KeychainUnavailable("The system keychain is locked and was not unlocked.")


def _foreign_errors() -> tuple[type[Exception], ...]:
    """What the libraries below keyring raise, past its own errors; only those already loaded count."""
    names = (
        ("secretstorage.exceptions", "SecretStorageException"),
        ("jeepney.wrappers", "DBusErrorResponse"),
        ("dbus.exceptions", "DBusException"),
        ("gi.repository.GLib", "Error"),
        ("win32ctypes.pywin32.pywintypes", "error"),
        ("pywintypes", "error"),
    )
    found = [getattr(sys.modules[module], name, None) for module, name in names if module in sys.modules]
    return (OSError, *(error for error in found if isinstance(error, type) and issubclass(error, Exception)))


def _missing_hint(reason: str) -> str:
    return f"{reason} You can keep keys in a file that is encrypted with a passphrase of your choice."
