"""The tray of the Qt engine: a StatusNotifierItem or an XEmbed icon, whichever the desktop has."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from PySide6.QtCore import QObject, QRectF, Qt, QTimer, Signal
from PySide6.QtGui import QAction, QColor, QGuiApplication, QIcon, QPainter, QPixmap
from PySide6.QtWidgets import QMenu, QSystemTrayIcon

from deskside.shell.tray import BUSY, PLATE, WAITING, Activity, TrayWishes

# While the window is hidden: Qt does not tell that the desktop's tray is gone.
LOOK_EVERY_MS = 2_000
SIZES = (16, 22, 24, 32, 48, 64)


class QtTray(QObject):
    """Fits `tray.Tray`."""

    _calls = Signal(object)

    def __init__(self, window: Any, wishes: TrayWishes) -> None:
        super().__init__()
        self._native = window.native
        self._wishes = wishes
        self._activity = Activity()
        self._icon: QSystemTrayIcon | None = None
        self._state: QAction | None = None  # the menu's first line
        self._calls.connect(lambda function: function())
        self._looking = QTimer(self)
        self._looking.setInterval(LOOK_EVERY_MS)
        self._looking.timeout.connect(self._look_for_tray)

    def is_there(self) -> bool:
        """Not while the session ends: that waits for every window to close."""
        is_ending = QGuiApplication.instance().isSavingSession()
        return QSystemTrayIcon.isSystemTrayAvailable() and not is_ending

    def when_known(self, tell: Callable[[bool], None]) -> None:
        self._calls.emit(lambda: tell(self.is_there()))

    def set_shown(self, is_shown: bool) -> None:
        self._calls.emit(lambda: self._set_shown(is_shown))

    def show_activity(self, activity: Activity) -> None:
        self._calls.emit(lambda: self._show_activity(activity))

    def hide_window(self) -> None:
        self._native.hide()
        self._looking.start()

    def _set_shown(self, is_shown: bool) -> None:
        if not is_shown:
            if self._icon is not None:
                self._icon.hide()
                if not self._native.isVisible():
                    self._wishes.show()
            return
        if self._icon is None:
            self._icon = self._make()
        self._icon.show()

    def _make(self) -> QSystemTrayIcon:
        self._menu = QMenu()
        self._state = QAction("", self._menu)
        self._state.setEnabled(False)
        self._menu.addAction(self._state)
        self._menu.addSeparator()
        # One line that fits both: a desktop may show the menu as it was when it asked last.
        self._menu.addAction("Show or hide Deskside", self._show_or_hide)
        self._menu.addAction("New chat", self._wishes.new_chat)
        self._menu.addSeparator()
        self._menu.addAction("Quit", self._wishes.quit)
        icon = QSystemTrayIcon(self)
        icon.setContextMenu(self._menu)
        icon.activated.connect(self._clicked)
        QGuiApplication.setQuitOnLastWindowClosed(False)  # pywebview ends the program itself
        self._icon = icon
        self._show_activity(self._activity)
        return icon

    def _show_activity(self, activity: Activity) -> None:
        self._activity = activity
        if self._icon is None or self._state is None:
            return
        colour = WAITING if activity.waiting else BUSY if activity.running else None
        self._icon.setIcon(_icon(colour))
        self._icon.setToolTip(f"Deskside: {activity}" if colour else "Deskside")
        self._state.setText(str(activity))

    def _clicked(self, reason: QSystemTrayIcon.ActivationReason) -> None:
        if reason in (QSystemTrayIcon.ActivationReason.Trigger, QSystemTrayIcon.ActivationReason.DoubleClick):
            self._wishes.show()

    def _show_or_hide(self) -> None:
        if self._native.isVisible():
            self.hide_window()
        else:
            self._wishes.show()

    def _look_for_tray(self) -> None:
        if self._native.isVisible():
            self._looking.stop()
        elif not self.is_there():
            self._looking.stop()
            self._wishes.show()


def _icon(mark: str | None) -> QIcon:
    """The program's sign, with a mark of this colour in its corner. Drawn, so that it is there in every
    installation and sharp in every size."""
    icon = QIcon()
    for size in SIZES:
        picture = QPixmap(size, size)
        picture.fill(Qt.GlobalColor.transparent)
        painter = QPainter(picture)
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.setBrush(QColor(PLATE))
        painter.drawRoundedRect(QRectF(0, 0, size, size), size * 0.22, size * 0.22)
        painter.setBrush(QColor("white"))
        painter.drawRoundedRect(
            QRectF(size * 0.22, size * 0.26, size * 0.56, size * 0.38), size * 0.1, size * 0.1
        )
        painter.drawEllipse(QRectF(size * 0.30, size * 0.58, size * 0.16, size * 0.16))
        if mark is not None:
            painter.setBrush(QColor(mark))
            painter.drawEllipse(QRectF(size * 0.58, size * 0.58, size * 0.42, size * 0.42))
        painter.end()
        icon.addPixmap(picture)
    return icon
