"""Windows Forms and WebView2 as Microsoft documents them, as far as the window uses them: they are on Windows
alone.

What runs on the window's thread waits in `Form.queue` until `run_queue`; there it waits for the loop.
"""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Callable
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest


class Event:
    """A .NET event: handlers in the order in which they were added."""

    def __init__(self) -> None:
        self._handlers: list[Callable[[Any, Any], None]] = []

    def __iadd__(self, handler: Callable[[Any, Any], None]) -> Event:
        self._handlers.append(handler)
        return self

    def __call__(self, arguments: Any = None) -> Any:
        for handler in self._handlers:
            handler(self, arguments)
        return arguments


class Form:
    """A window, shown and in its usual size."""

    IsHandleCreated = True
    Handle = SimpleNamespace(ToInt64=lambda: 4711)

    def __init__(self) -> None:
        self.IsDisposed = False
        self.Visible = True
        self.WindowState = "Normal"
        self.Activated, self.Deactivate, self.Resize = Event(), Event(), Event()
        self.VisibleChanged, self.FormClosing, self.FormClosed = Event(), Event(), Event()
        self.queue: list[Callable[[], None]] = []
        self.calls: list[str] = []

    def BeginInvoke(self, action: Callable[[], None]) -> None:
        assert not self.IsDisposed
        self.queue.append(action)

    def run_queue(self) -> None:
        while self.queue:
            self.queue.pop(0)()

    def Show(self) -> None:
        self.calls.append("show")
        self.Visible = True
        self.VisibleChanged()

    def Hide(self) -> None:
        self.calls.append("hide")
        self.Visible = False
        self.VisibleChanged()

    def Activate(self) -> None:
        self.calls.append("activate")

    def close(self, reason: str = "UserClosing") -> bool:
        """Whether it is closed then."""
        if self.may_close(reason):
            self.FormClosed()
            self.IsDisposed = True
        return self.IsDisposed

    def may_close(self, reason: str) -> bool:
        """What Windows asks before it ends a session; another program may still keep it from that."""
        closing = self.FormClosing(SimpleNamespace(CloseReason=reason, Cancel=False))
        return not closing.Cancel


class MenuItem:
    def __init__(self, text: str) -> None:
        self.Text = text
        self.Enabled = True
        self.Click = Event()


class Items(list[Any]):
    def Add(self, item: Any) -> Any:
        self.append(MenuItem(item) if isinstance(item, str) else item)
        return self[-1]


class ContextMenuStrip:
    def __init__(self) -> None:
        self.Items = Items()

    def press(self, text: str) -> None:
        next(each for each in self.Items if getattr(each, "Text", None) == text).Click()


class NotifyIcon:
    """`Icon`, `Text` and `Visible` are what the taskbar shows."""

    made: list[NotifyIcon] = []

    def __init__(self) -> None:
        self.Icon: Any = None
        self.Text = ""
        self.Visible = self.is_disposed = False
        self.ContextMenuStrip: Any = None
        self.MouseClick = Event()
        self.made.append(self)

    def __setattr__(self, name: str, value: Any) -> None:
        assert name != "Text" or len(value) < 64, "NotifyIcon raises an ArgumentOutOfRangeException"
        super().__setattr__(name, value)

    def Dispose(self) -> None:
        self.is_disposed = True


class MessageBox:
    """Answers what `answer` says; `shown` is what was asked or told."""

    shown: list[str] = []
    answer = "OK"

    @classmethod
    def Show(cls, owner: Any, text: str, *_: Any) -> str:
        cls.shown.append(text)
        return cls.answer


class MenuList(list[Any]):
    """An IList<CoreWebView2ContextMenuItem>, whose items are other objects each time."""

    def RemoveAt(self, place: int) -> None:
        del self[place]


class Core:
    """A CoreWebView2."""

    def __init__(self) -> None:
        self.FrameNavigationStarting, self.PermissionRequested, self.DownloadStarting = (
            Event(),
            Event(),
            Event(),
        )
        self.WebResourceRequested, self.ContextMenuRequested, self.ProcessFailed = Event(), Event(), Event()
        self.Settings: Any = SimpleNamespace()
        self.Source = "about:blank"
        self.Environment = SimpleNamespace(CreateWebResourceResponse=lambda *of: of)


class Control:
    """The control in the window. It has a core once `initialize` has been called."""

    def __init__(self) -> None:
        self.CoreWebView2: Core | None = None
        self.NavigationStarting, self.CoreWebView2InitializationCompleted = Event(), Event()
        self.ZoomFactor = 1.0

    def initialize(self, core: Core | None) -> None:
        self.CoreWebView2 = core
        self.CoreWebView2InitializationCompleted(
            SimpleNamespace(IsSuccess=core is not None, InitializationException="no runtime")
        )


def install(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """Have `import System…` find all that; returns the `user32` that ctypes has then."""

    def names(*values: str) -> SimpleNamespace:
        return SimpleNamespace(**{value: value for value in values})

    forms: Any = ModuleType("System.Windows.Forms")
    forms.FormWindowState = names("Normal", "Minimized", "Maximized")
    forms.DialogResult, forms.MessageBoxButtons = names("OK", "Cancel"), names("OK", "OKCancel")
    forms.MessageBoxIcon = names("Error")
    forms.ToolStripSeparator = object
    forms.ContextMenuStrip, forms.NotifyIcon, forms.MessageBox = ContextMenuStrip, NotifyIcon, MessageBox
    system: Any = ModuleType("System")
    system.Action = lambda call: call
    system.Windows = SimpleNamespace(Forms=forms)
    win32: Any = ModuleType("Microsoft.Win32")
    win32.SystemEvents = SimpleNamespace(SessionEnded=Event())
    core: Any = ModuleType("Microsoft.Web.WebView2.Core")
    core.CoreWebView2PermissionState = names("Deny", "Allow")
    modules = {"System": system, "System.Windows": system.Windows}
    modules |= {module.__name__: module for module in (forms, core, win32)}
    for name in ("Microsoft", "Microsoft.Web", "Microsoft.Web.WebView2"):
        modules[name] = ModuleType(name)
    for name, module in modules.items():
        monkeypatch.setitem(sys.modules, name, module)
    monkeypatch.setattr(NotifyIcon, "made", [])
    monkeypatch.setattr(MessageBox, "shown", [])
    monkeypatch.setattr(MessageBox, "answer", "OK")
    user32 = SimpleNamespace(calls=[], taskbar=1)
    user32.ShowWindow = lambda *of: user32.calls.append(of)
    user32.FindWindowW = lambda kind, _: user32.taskbar if kind == "Shell_TrayWnd" else 0
    monkeypatch.setattr(ctypes, "windll", SimpleNamespace(user32=user32), raising=False)
    return user32
