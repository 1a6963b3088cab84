"""The program, whose file dialogs a test answers: `python answered_dialogs.py ANSWERS [arguments]`.

The dialogs of the system cannot be pressed. Only they are replaced: each one takes the next line of
the file ANSWERS for the path that the user chose; the other arguments are those of deskside.
"""

from __future__ import annotations

import runpy
import sys
from pathlib import Path
from typing import Any

import webview


def main() -> None:
    answers = Path(sys.argv[1])
    del sys.argv[0:2]
    sys.argv.insert(0, "deskside")

    def create_file_dialog(window: webview.Window, *asked: Any, **details: Any) -> tuple[str, ...]:
        first, *rest = answers.read_text("utf-8").splitlines()
        answers.write_text("".join(f"{line}\n" for line in rest), "utf-8")
        return (first,)

    webview.Window.create_file_dialog = create_file_dialog
    runpy.run_module("deskside", run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
