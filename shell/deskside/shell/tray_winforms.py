"""The tray of the window on Windows: an icon in the taskbar's notification area, by Windows Forms.

Written from Microsoft's documentation of `NotifyIcon`. Seen at work with Mono's Windows Forms on Linux, never
on Windows. Windows puts the icon back by itself when the taskbar comes back after a crash.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from deskside.shell.tray import BUSY, PLATE, WAITING, Activity, TrayWishes
from deskside.shell.winforms import soon

LONGEST_TEXT = 63  # what NotifyIcon takes


class WinFormsTray:
    """Fits `tray.Tray`."""

    def __init__(self, window: Any, wishes: TrayWishes, user32: Any) -> None:
        """On the window's thread. `user32` is the library of that name, as ctypes has it."""
        self._native = window.native
        self._wishes = wishes
        self._user32 = user32
        self._activity = Activity()
        self._icon: Any = None
        self._state: Any = None  # the menu's first line
        self._pictures: dict[str, Any] = {}
        # After pywebview's own, which asks whether the window goes to the tray.
        self._native.FormClosing += self._closing
        self._native.FormClosed += self._closed

    def is_there(self) -> bool:
        """Is there a taskbar? A computer that shows one program alone has none."""
        return bool(self._user32.FindWindowW("Shell_TrayWnd", None))

    def when_known(self, tell: Callable[[bool], None]) -> None:
        soon(self._native, lambda: tell(self.is_there()))

    def set_shown(self, is_shown: bool) -> None:
        soon(self._native, lambda: self._set_shown(is_shown))

    def show_activity(self, activity: Activity) -> None:
        soon(self._native, lambda: self._show_activity(activity))

    def _set_shown(self, is_shown: bool) -> None:
        if is_shown and self._icon is None:
            self._icon = self._make()
            self._show_activity(self._activity)
        if self._icon is not None:
            self._icon.Visible = is_shown
            if not is_shown and not self._native.Visible:
                self._wishes.show()

    def _make(self) -> Any:
        import System.Windows.Forms as forms  # type: ignore[import-not-found, unused-ignore]

        menu = forms.ContextMenuStrip()
        self._state = menu.Items.Add("")
        self._state.Enabled = False
        menu.Items.Add(forms.ToolStripSeparator())
        for label, wish in (
            ("Show or hide Deskside", self._show_or_hide),
            ("New chat", self._wishes.new_chat),
            ("Quit", self._wishes.quit),
        ):
            menu.Items.Add(label).Click += lambda _, __, wish=wish: wish()
        icon = forms.NotifyIcon()
        icon.ContextMenuStrip = menu
        icon.MouseClick += self._clicked
        return icon

    def _show_activity(self, activity: Activity) -> None:
        self._activity = activity
        if self._icon is None:
            return
        colour = WAITING if activity.waiting else BUSY if activity.running else ""
        if colour not in self._pictures:
            self._pictures[colour] = _picture(colour)
        self._icon.Icon = self._pictures[colour]
        self._icon.Text = f"Deskside: {activity}"[:LONGEST_TEXT] if colour else "Deskside"
        self._state.Text = str(activity)

    def _clicked(self, _: Any, click: Any) -> None:
        if str(click.Button) == "Left":
            self._wishes.show()

    def _show_or_hide(self) -> None:
        if self._native.Visible:
            self._native.Hide()
        else:
            self._wishes.show()

    def _closing(self, _: Any, closing: Any) -> None:
        """Windows itself closes the window when the user logs out, and when an installer asks for it: in the
        tray it would hold that up."""
        if str(closing.CloseReason) == "WindowsShutDown":
            closing.Cancel = False

    def _closed(self, *_: Any) -> None:
        if self._icon is not None:
            self._icon.Dispose()  # else it stays until the mouse touches it


def _picture(mark: str) -> Any:
    """The program's sign, with a mark of this colour in its corner. Drawn, so that it is there in every
    installation and sharp in every size."""
    from System.Drawing import (  # type: ignore[import-not-found, unused-ignore]
        Bitmap,
        ColorTranslator,
        Graphics,
        Icon,
        RectangleF,
        SolidBrush,
    )
    from System.Drawing.Drawing2D import (  # type: ignore[import-not-found, unused-ignore]
        GraphicsPath,
        SmoothingMode,
    )
    from System.Windows.Forms import SystemInformation  # type: ignore[import-not-found, unused-ignore]

    size = SystemInformation.SmallIconSize.Width
    bitmap = Bitmap(size, size)
    canvas = Graphics.FromImage(bitmap)
    canvas.SmoothingMode = SmoothingMode.AntiAlias

    def brush(colour: str) -> Any:
        return SolidBrush(ColorTranslator.FromHtml(colour))

    def box(left: float, top: float, width: float, height: float) -> Any:
        return RectangleF(size * left, size * top, size * width, size * height)

    def rounded(colour: str, left: float, top: float, width: float, height: float, radius: float) -> None:
        path = GraphicsPath()
        across = 2 * radius
        right, bottom = left + width - across, top + height - across
        for x, y, degrees in ((left, top, 180), (right, top, 270), (right, bottom, 0), (left, bottom, 90)):
            path.AddArc(box(x, y, across, across), degrees, 90)
        path.CloseFigure()
        canvas.FillPath(brush(colour), path)

    rounded(PLATE, 0, 0, 1, 1, 0.22)
    rounded("#ffffff", 0.22, 0.26, 0.56, 0.38, 0.1)
    canvas.FillEllipse(brush("#ffffff"), box(0.30, 0.58, 0.16, 0.16))
    if mark:
        canvas.FillEllipse(brush(mark), box(0.58, 0.58, 0.42, 0.42))
    canvas.Dispose()
    return Icon.FromHandle(bitmap.GetHicon())
