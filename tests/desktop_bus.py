"""A desktop for tests: a session bus of its own, with who shows notifications and who shows tray icons."""

from __future__ import annotations

import queue
import shutil
import socket
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from jeepney import (
    DBusAddress,
    HeaderFields,
    Message,
    MessageType,
    new_error,
    new_method_call,
    new_method_return,
    new_signal,
)
from jeepney.bus_messages import message_bus
from jeepney.io.blocking import DBusConnection, open_dbus_connection
from jeepney.wrappers import unwrap_msg

NOTIFICATIONS = "org.freedesktop.Notifications"
WATCHER = "org.kde.StatusNotifierWatcher"
MENU = "com.canonical.dbusmenu"
ITEM = "org.kde.StatusNotifierItem"
PROPERTIES = "org.freedesktop.DBus.Properties"
WAIT_S = 30.0

CONFIG = """<busconfig>
  <type>session</type>
  <listen>unix:tmpdir={folder}</listen>
  <auth>EXTERNAL</auth>
  <policy context="default">
    <allow send_destination="*" eavesdrop="true"/>
    <allow eavesdrop="true"/>
    <allow own="*"/>
  </policy>
</busconfig>
"""


@contextmanager
def session_bus() -> Iterator[str]:
    """The address of a bus with nobody on it."""
    assert shutil.which("dbus-daemon"), "dbus-daemon missing: apt install dbus"
    # In /tmp, because a socket's path has room for 107 characters only.
    with tempfile.TemporaryDirectory(prefix="ds-", dir="/tmp") as folder:
        config = Path(folder) / "bus.conf"
        config.write_text(CONFIG.format(folder=folder))
        process = subprocess.Popen(
            ["dbus-daemon", f"--config-file={config}", "--nofork", "--print-address"],
            stdout=subprocess.PIPE,
            text=True,
        )
        assert process.stdout is not None
        try:
            yield process.stdout.readline().strip()
        finally:
            process.terminate()
            process.wait(10)
            process.stdout.close()


class OnBus:
    """Who leaves the bus at the end of a `with`, or earlier."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        raise NotImplementedError


class Service(OnBus):
    """Somebody on the bus who answers calls, on a thread, until it is closed."""

    name = ""

    def __init__(self, address: str) -> None:
        self._connection = open_dbus_connection(address)
        (owned,) = unwrap_msg(self._connection.send_and_get_reply(message_bus.RequestName(self.name, 4)))
        assert owned == 1
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Leave the bus, as a program that ends. Once more does no harm."""
        with suppress(OSError):  # closed
            self._connection.sock.shutdown(socket.SHUT_RDWR)
        self._thread.join(WAIT_S)
        self._connection.close()

    def _serve(self) -> None:
        with suppress(OSError, EOFError):
            while True:
                message = self._connection.receive()
                if message.header.message_type is not MessageType.method_call:
                    continue
                try:
                    signature, body = self.answer(message)
                except KeyError:
                    self._connection.send(
                        new_error(message, "org.freedesktop.DBus.Error.UnknownMethod", "s", ("?",))
                    )
                else:
                    self._connection.send(new_method_return(message, signature, body))

    def answer(self, message: Message) -> tuple[str, tuple[Any, ...]]:
        raise NotImplementedError


class NotificationServer(Service):
    """Shows notifications to nobody; a test reads them from `shown` and clicks."""

    name = NOTIFICATIONS

    def __init__(self, address: str, capabilities: tuple[str, ...] = ("actions", "body")) -> None:
        self.shown: queue.Queue[dict[str, Any]] = queue.Queue()
        self._capabilities = list(capabilities)
        self._last = 0
        super().__init__(address)

    def answer(self, message: Message) -> tuple[str, tuple[Any, ...]]:
        member = message.header.fields[HeaderFields.member]
        if member == "GetCapabilities":
            return "as", (self._capabilities,)
        if member == "Notify":
            _, replaces, _, heading, body, actions, _, _ = message.body
            self._last = replaces or self._last + 1
            self.shown.put(
                {
                    "id": self._last,
                    "replaces": replaces,
                    "heading": heading,
                    "body": body,
                    "actions": actions,
                }
            )  # a click may overtake the answer
            return "u", (self._last,)
        raise KeyError(member)

    def click(self, id: int) -> None:
        emitter = DBusAddress("/org/freedesktop/Notifications", interface=NOTIFICATIONS)
        self._connection.send(new_signal(emitter, "ActionInvoked", "us", (id, "default")))


class TrayHost(Service):
    """A tray: programs tell it of their icons, and a test presses what is in their menus."""

    name = WATCHER

    def __init__(self, address: str) -> None:
        self._address = address
        self.items: queue.Queue[tuple[str, str]] = queue.Queue()
        super().__init__(address)

    def answer(self, message: Message) -> tuple[str, tuple[Any, ...]]:
        member = message.header.fields[HeaderFields.member]
        if member == "RegisterStatusNotifierItem":
            (item,) = message.body
            sender = message.header.fields[HeaderFields.sender]
            path = item if item.startswith("/") else "/StatusNotifierItem"
            self.items.put((sender, path))
            return "", ()
        if member == "Get":
            _, name = message.body
            values = {
                "IsStatusNotifierHostRegistered": ("b", True),
                "ProtocolVersion": ("i", 0),
                "RegisteredStatusNotifierItems": ("as", []),
            }
            return "v", (values[name],)
        raise KeyError(member)

    def icon(self) -> TrayIcon:
        """The next icon that a program registers."""
        return TrayIcon(self._address, *self.items.get(timeout=WAIT_S))


class TrayIcon(OnBus):
    """A program's icon, as its desktop sees it."""

    def __init__(self, address: str, owner: str, path: str) -> None:
        self._connection: DBusConnection = open_dbus_connection(address)
        self._owner = owner
        self._path = path

    def close(self) -> None:
        self._connection.close()

    def labels(self) -> list[str]:
        """The lines of its menu, without the separators."""
        return [properties["label"][1] for _, properties in self._lines() if "label" in properties]

    def press(self, label: str) -> None:
        [id] = [id for id, properties in self._lines() if properties.get("label", ("s", ""))[1] == label]
        self._call(self._menu(), MENU, "Event", "isvu", (id, "clicked", ("s", ""), 0))

    def click(self) -> None:
        self._call(self._path, ITEM, "Activate", "ii", (0, 0))

    def _menu(self) -> str:
        ((_, path),) = self._call(self._path, PROPERTIES, "Get", "ss", (ITEM, "Menu"))
        return str(path)

    def _lines(self) -> list[tuple[int, dict[str, tuple[str, Any]]]]:
        _, (_, _, children) = self._call(self._menu(), MENU, "GetLayout", "iias", (0, -1, []))
        return [(id, properties) for _, (id, properties, _) in children]

    def _call(self, path: str, interface: str, method: str, signature: str, body: tuple[Any, ...]) -> Any:
        address = DBusAddress(path, self._owner, interface)
        call = new_method_call(address, method, signature, body)
        return unwrap_msg(self._connection.send_and_get_reply(call, timeout=WAIT_S))
