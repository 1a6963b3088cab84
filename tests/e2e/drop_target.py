"""Another program, into whose window things are dragged. Prints what happens, a line of JSON each: that it is
there, that something was dragged over it and away, and what was dropped.

Its arguments are where its window is: x, y, width and height.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from PySide6.QtCore import Qt
from PySide6.QtGui import QDragEnterEvent, QDragLeaveEvent, QDropEvent
from PySide6.QtWidgets import QApplication, QWidget


class Target(QWidget):
    def __init__(self) -> None:
        super().__init__()
        self.setAcceptDrops(True)

    def dragEnterEvent(self, event: QDragEnterEvent) -> None:
        event.acceptProposedAction()
        say("entered")

    def dragLeaveEvent(self, event: QDragLeaveEvent) -> None:
        say("left")

    def dropEvent(self, event: QDropEvent) -> None:
        data = event.mimeData()
        paths = [Path(url.toLocalFile()) for url in data.urls()]
        say(
            {
                "files": {str(path): path.read_bytes().hex() for path in paths},
                "text": data.text(),
                "html": data.html(),
                "can_move": bool(event.possibleActions() & Qt.DropAction.MoveAction),
            }
        )
        event.acceptProposedAction()


def say(what: Any) -> None:
    print(json.dumps(what), flush=True)


def main() -> None:
    application = QApplication(["target"])
    target = Target()
    target.setGeometry(*map(int, sys.argv[1:5]))
    target.show()
    say("there")
    application.exec()


if __name__ == "__main__":
    main()
