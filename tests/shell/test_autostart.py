"""Starting at login: what is written where, on each system, and with which command."""

from __future__ import annotations

import plistlib
import subprocess
from pathlib import Path

import pytest

from deskside.backend.errors import StoreReadOnly
from deskside.shell.autostart import autostart, desktop_entry, launch_agent, this_program

PYTHON = "/usr/bin/python3"


@pytest.fixture
def installed(tmp_path: Path) -> str:
    """A command as pip or a package installs it."""
    command = tmp_path / "bin" / "deskside"
    command.parent.mkdir()
    command.write_text("#!/bin/sh\n")
    command.chmod(0o755)
    return str(command)


@pytest.mark.parametrize(
    ("orig_argv", "data_dir", "command"),
    [
        (["python", "-m", "deskside"], None, [PYTHON, "-m", "deskside"]),
        (["python", "-I", "-m", "deskside", "--offline"], None, [PYTHON, "-I", "-m", "deskside"]),
        (
            ["python", "-X", "utf8", "-m", "deskside", "open", "deskside://conversation/1"],
            None,
            [PYTHON, "-X", "utf8", "-m", "deskside"],
        ),
        (["python", "-m", "deskside"], "/my data", [PYTHON, "-m", "deskside", "--data-dir", "/my data"]),
        (["python", "/no/such/script.py"], None, [PYTHON, "/no/such/script.py"]),
    ],
)
def test_the_command_is_that_of_this_start_without_its_arguments(
    orig_argv: list[str], data_dir: str | None, command: list[str]
) -> None:
    assert command == this_program(orig_argv, PYTHON, data_dir)


def test_an_installed_command_starts_itself(installed: str) -> None:
    assert [installed] == this_program(["python", installed, "open"], PYTHON, None)


@pytest.mark.parametrize("platform", ["linux", "darwin"])
def test_it_is_switched_on_and_off(tmp_path: Path, platform: str) -> None:
    kept = autostart(["/usr/bin/deskside"], tmp_path, {}, platform)

    assert not kept.is_on()
    kept.switch(False)
    kept.switch(True)
    assert kept.is_on()
    kept.switch(True)
    kept.switch(False)
    assert not kept.is_on()
    assert [] == [each for each in tmp_path.rglob("*") if each.is_file()]


def test_it_is_where_the_system_looks(tmp_path: Path) -> None:
    autostart(["deskside"], tmp_path, {}, "linux").switch(True)
    autostart(["deskside"], tmp_path, {"XDG_CONFIG_HOME": str(tmp_path / "own")}, "linux").switch(True)
    autostart(["deskside"], tmp_path, {}, "darwin").switch(True)

    assert {
        ".config/autostart/deskside.desktop",
        "own/autostart/deskside.desktop",
        "Library/LaunchAgents/org.deskside.deskside.plist",
    } == {str(each.relative_to(tmp_path)) for each in tmp_path.rglob("*") if each.is_file()}


@pytest.mark.parametrize("line", ["Hidden=true", "X-GNOME-Autostart-enabled=false"])
def test_what_the_desktop_switched_off_is_off(tmp_path: Path, line: str) -> None:
    kept = autostart(["deskside"], tmp_path, {}, "linux")
    kept.switch(True)
    file = tmp_path / ".config" / "autostart" / "deskside.desktop"
    file.write_text(file.read_text().replace("X-GNOME-Autostart-enabled=true", line))

    assert not kept.is_on()
    kept.switch(True)
    assert kept.is_on()


def test_a_folder_that_cannot_be_made_is_said(tmp_path: Path) -> None:
    (tmp_path / ".config").write_text("")

    with pytest.raises(StoreReadOnly, match="cannot be changed"):
        autostart(["deskside"], tmp_path, {}, "linux").switch(True)


NASTY = ["/opt/my app/deskside", 'a"b', "c$HOME", "d`id`", "e\\f", "100%", "%u", "plain", "it's"]


def test_a_command_with_any_characters_is_read_back_as_it_was() -> None:
    [line] = [each for each in desktop_entry(NASTY).decode().splitlines() if each.startswith("Exec=")]
    # First what a value of a desktop file escapes, then what Exec does, which is what a shell does in double
    # quotes; %% is one %.
    value = line.removeprefix("Exec=").replace("\\\\", "\\")
    script = f"printf '%s\\n' {value}"
    shown = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=True)

    assert NASTY == [each.replace("%%", "%") for each in shown.stdout.splitlines()]


def test_the_launch_agent_is_a_plist_of_the_command() -> None:
    assert {
        "Label": "org.deskside.deskside",
        "ProgramArguments": NASTY,
        "RunAtLoad": True,
    } == plistlib.loads(launch_agent(NASTY))
