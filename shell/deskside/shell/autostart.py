"""Starting Deskside when the user logs in, as each system keeps that: a file in the user's own folders, or a
value in their registry. What is there is the truth; nothing else remembers it.

On Linux: the Desktop Application Autostart Specification 0.5. The files of macOS and Windows' value are
written from their documentation and have not been seen at work.
"""

from __future__ import annotations

import os
import plistlib
import shlex
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

from deskside.backend.errors import StoreReadOnly

LABEL = "org.deskside.deskside"
VALUE = "Deskside"
RUN_KEY = r"Software\Microsoft\Windows\CurrentVersion\Run"

# What a quoted argument of an Exec line escapes (Desktop Entry Specification 1.5, "The Exec key").
_IN_QUOTES = str.maketrans({"\\": "\\\\", '"': '\\"', "`": "\\`", "$": "\\$"})


class Autostart(Protocol):
    """Used off the backend's loop: it reads and writes the disk."""

    def is_on(self) -> bool: ...

    def switch(self, is_on: bool) -> None:
        """StoreReadOnly where it cannot be kept."""


def this_program(
    orig_argv: Sequence[str], executable: str, data_dir: str | None, *, is_embedded: bool = False
) -> list[str]:
    """The command line that starts the window as this process was started: the same Python and the same
    program, without the arguments that were for this start alone. `data_dir` where the user chose one. Where
    Python `is_embedded`, all of them were."""
    rest = [] if is_embedded else list(orig_argv[1:])
    command = [executable]
    while rest and rest[0].startswith("-") and rest[0] != "-m":
        command.append(rest.pop(0))
        if command[-1] in ("-W", "-X"):
            command.append(rest.pop(0))
    if rest[:1] == ["-m"]:
        command += rest[:2]
    elif rest:
        program = os.path.abspath(rest[0])
        # An installed command says itself which Python it needs.
        command = [program] if os.access(program, os.X_OK) else [*command, program]
    return command if data_dir is None else [*command, "--data-dir", data_dir]


def autostart(
    command: Sequence[str], home: Path, environ: Mapping[str, str] = os.environ, platform: str = sys.platform
) -> Autostart:
    """The way of this system."""
    if platform == "win32":
        return RunValue(command)
    if platform == "darwin":
        return AutostartFile(home / "Library" / "LaunchAgents" / f"{LABEL}.plist", launch_agent(command))
    config = Path(environ.get("XDG_CONFIG_HOME") or home / ".config")
    return AutostartFile(config / "autostart" / "deskside.desktop", desktop_entry(command))


class AutostartFile:
    """Fits `Autostart`: a file that is there or not."""

    def __init__(self, file: Path, content: bytes) -> None:
        self._file = file
        self._content = content

    def is_on(self) -> bool:
        """Also where it starts another installation of Deskside. A desktop's own settings may keep the file
        and switch it off in it."""
        try:
            lines = self._file.read_bytes().splitlines()
        except OSError:
            return False
        return b"Hidden=true" not in lines and b"X-GNOME-Autostart-enabled=false" not in lines

    def switch(self, is_on: bool) -> None:
        try:
            if is_on:
                self._file.parent.mkdir(parents=True, exist_ok=True)
                draft = self._file.with_name(f"{self._file.name}.new")
                draft.write_bytes(self._content)
                os.replace(draft, self._file)
            else:
                self._file.unlink(missing_ok=True)
        except OSError as error:
            raise StoreReadOnly(
                f"{self._file} cannot be changed: {error.strerror or error}.",
                hint="Let your user write there, then try again.",
            ) from error


class RunValue:
    """Fits `Autostart`: a value below the user's own Run key. On Windows only."""

    def __init__(self, command: Sequence[str]) -> None:
        self._line = subprocess.list2cmdline(command)

    def is_on(self) -> bool:
        import winreg

        try:
            with winreg.OpenKey(winreg.HKEY_CURRENT_USER, RUN_KEY) as key:  # type: ignore[attr-defined, unused-ignore]
                winreg.QueryValueEx(key, VALUE)  # type: ignore[attr-defined, unused-ignore]
        except OSError:
            return False
        return True

    def switch(self, is_on: bool) -> None:
        import winreg

        try:
            with winreg.CreateKey(winreg.HKEY_CURRENT_USER, RUN_KEY) as key:  # type: ignore[attr-defined, unused-ignore]
                if is_on:
                    winreg.SetValueEx(key, VALUE, 0, winreg.REG_SZ, self._line)  # type: ignore[attr-defined, unused-ignore]
                else:
                    winreg.DeleteValue(key, VALUE)  # type: ignore[attr-defined, unused-ignore]
        except FileNotFoundError:
            return  # it was off
        except OSError as error:
            raise StoreReadOnly(
                f"Windows does not let Deskside change what starts at login: {error.strerror or error}.",
                hint="Ask whoever manages this computer.",
            ) from error


def desktop_entry(command: Sequence[str]) -> bytes:
    """A file of ~/.config/autostart. A value's own escapes come on top of those of Exec."""
    line = " ".join(_exec_argument(each) for each in command)
    return f"""[Desktop Entry]
Type=Application
Name=Deskside
Comment=Start Deskside when you log in
Exec={line}
Icon=deskside
Terminal=false
X-GNOME-Autostart-enabled=true
""".encode()


def _exec_argument(text: str) -> str:
    quoted = text if shlex.quote(text) == text else f'"{text.translate(_IN_QUOTES)}"'
    return quoted.replace("%", "%%").replace("\\", "\\\\").replace("\n", "\\n")


def launch_agent(command: Sequence[str]) -> bytes:
    """A file of ~/Library/LaunchAgents (`man launchd.plist`)."""
    return plistlib.dumps({"Label": LABEL, "ProgramArguments": list(command), "RunAtLoad": True})
