"""Opening an address in the user's own program, without a shell."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading

from deskside.backend.errors import NotFound
from deskside.bridge.desktop import check_link


def open_outside(url: str) -> None:
    """Hand `url` to the system. InvalidRequest for what `check_link` refuses, NotFound where the system has
    no opener."""
    # The bridge has checked this too; here it is what stands between an address and ShellExecute.
    check_link(url)
    if sys.platform == "win32":
        # Windows puts it between quotes into a browser's command line.
        os.startfile(url.replace('"', "%22"))
        return
    opener = "/usr/bin/open" if sys.platform == "darwin" else shutil.which("xdg-open")
    if opener is None:
        raise NotFound("This system has no program that opens links.", hint="Install xdg-utils, or copy it.")
    process = subprocess.Popen(
        [opener, url],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    # A browser that was not running may stay this process's child for as long as it runs.
    threading.Thread(target=process.wait, name="link", daemon=True).start()
