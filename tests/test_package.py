"""What installers are made of: that each system's tools accept it, and that it says what the program does."""

from __future__ import annotations

import configparser
import os
import re
import subprocess
import sys
import tomllib
import xml.etree.ElementTree as ElementTree
import zipfile
from pathlib import Path

import pytest
from PIL import IcnsImagePlugin, IcoImagePlugin, Image

import dev
import icons
import notices
import package
import rpm
from deskside.backend.updates import origin

ROOT = Path(__file__).resolve().parents[1]
INSTALLERS = ROOT / "build" / "installers"
SHARE = INSTALLERS / "linux" / "usr" / "share"
APP_ID = "org.deskside.deskside"
MAN_PAGE = (INSTALLERS / "deskside.1").read_text("utf-8").replace("\\-", "-")


def help_of(*command: str) -> str:
    roots = os.pathsep.join(str(ROOT / root) for root in ("shell", "bridge", "backend"))
    environment = {**os.environ, "PYTHONPATH": roots, "COLUMNS": "200"}
    asked = [sys.executable, "-m", "deskside", *command, "--help"]
    return subprocess.run(asked, env=environment, stdout=subprocess.PIPE, text=True, check=True).stdout


def commands() -> list[str]:
    found = re.findall(r"^    (\w+) {2,}\S", help_of(), re.MULTILINE)
    assert "ask" in found
    return found


def test_the_man_page_names_every_command_and_option() -> None:
    pages = {"": help_of(), "mcp add": help_of("mcp", "add"), **{name: help_of(name) for name in commands()}}
    options = {name: set(re.findall(r"--[a-z][a-z-]*", text)) for name, text in pages.items()}
    described = {
        name: MAN_PAGE if not name else "".join(re.findall(rf'^\.BI "?{name}[" ].*$', MAN_PAGE, re.MULTILINE))
        for name in pages
    }

    assert [] == [name for name in pages if name != "mcp" and not described[name]]
    # Those that every command takes are told of once.
    common = options["doctor"] - {"--json"}
    assert [] == sorted(option for option in options[""] if option not in MAN_PAGE)
    assert {} == {
        name: missing
        for name in pages
        if name != "mcp" and (missing := {o for o in options[name] - common if o not in described[name]})
    }


def test_the_man_page_names_every_variable_of_the_readme() -> None:
    readme = (ROOT / "README.md").read_text("utf-8")
    rows = re.findall(r"^\| ((?:`[A-Z_]+`(?:, )?)+) \|", readme, re.MULTILINE)
    variables = [name for row in rows for name in re.findall(r"[A-Z_]{3,}", row)]

    assert "DESKSIDE_DATA_DIR" in variables
    assert [] == [name for name in variables if name not in MAN_PAGE]


@pytest.mark.parametrize("size", icons.PNG_SIZES)
def test_the_icon_is_there_in_the_sizes_that_linux_asks_for(size: int) -> None:
    with Image.open(icons.FOLDER / f"deskside-{size}.png") as image:
        assert (size, size) == image.size
        assert (0, 255) == image.getchannel("A").getextrema()


def test_the_program_brings_the_same_icon() -> None:
    assert (icons.FOLDER / "deskside-128.png").read_bytes() == icons.PROGRAM.read_bytes()


def test_the_icons_of_windows_and_macos_hold_every_size() -> None:
    with IcoImagePlugin.IcoImageFile(str(icons.FOLDER / "deskside.ico")) as ico:
        assert {(size, size) for size in icons.ICO_SIZES} == ico.ico.sizes()
    with IcnsImagePlugin.IcnsImageFile(str(icons.FOLDER / "deskside.icns")) as icns:
        assert {size for size in icons.ICNS_SIZES if size > 16} <= {
            width for width, _, _ in icns.info["sizes"]
        }


def entry() -> configparser.SectionProxy:
    parser = configparser.ConfigParser(interpolation=None)
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read(SHARE / "applications" / f"{APP_ID}.desktop", "utf-8")
    return parser["Desktop Entry"]


def test_menu_store_and_file_types_name_the_same_things() -> None:
    stored = ElementTree.parse(SHARE / "metainfo" / f"{APP_ID}.metainfo.xml").getroot()
    types = ElementTree.parse(SHARE / "mime" / "packages" / f"{APP_ID}.xml").getroot()
    project = tomllib.loads(dev.PROJECT.read_text("utf-8"))["project"]
    declared = {each.attrib["type"] for each in types}
    opened = {name for name in entry()["MimeType"].split(";") if name.startswith("application/")}

    assert APP_ID == stored.findtext("id") == entry()["Icon"] == entry()["StartupWMClass"]
    assert f"{APP_ID}.desktop" == stored.findtext("launchable")
    assert project["license"] == stored.findtext("project_license")
    assert opened == {each.text for each in stored.iter("mediatype")} == declared


def test_macos_and_windows_know_the_same_types_as_linux_and_claim_no_ending_of_others() -> None:
    types = ElementTree.parse(SHARE / "mime" / "packages" / f"{APP_ID}.xml").getroot()
    space = {"": "http://www.freedesktop.org/standards/shared-mime-info"}
    linux = {
        each.attrib["type"]: (
            each.findtext("comment", namespaces=space),
            {glob.attrib["pattern"] for glob in each.iterfind("glob", space)},
        )
        for each in types
    }
    configuration = tomllib.loads((ROOT / "briefcase.toml").read_text("utf-8"))
    elsewhere = configuration["tool"]["briefcase"]["app"]["deskside"]["document_type"].values()

    assert set(linux) == {each["mime_type"] for each in elsewhere}
    for each in elsewhere:
        description, globs = linux[each["mime_type"]]
        assert description == each["description"]
        assert f"*.{each['extension']}" in globs
        assert each["extension"].startswith("deskside")


def run_package(*arguments: str) -> str:
    """build/package.py, which makes its environment first where there is none."""
    asked = [sys.executable, str(ROOT / "build" / "package.py"), *arguments]
    return subprocess.run(asked, stdout=subprocess.PIPE, text=True, check=True).stdout


def test_every_installer_that_is_promised_has_a_job_that_builds_it() -> None:
    workflow = (ROOT / ".github" / "workflows" / "release.yml").read_text("utf-8")
    built = set(re.findall(r"build/package\.py (\w+)", workflow))

    # A .pkg is a .dmg in another dress, and Flathub builds its packages itself.
    assert set(package.TARGETS) - {"pkg", "flatpak"} <= built


@pytest.mark.parametrize("name", package.TARGETS)
def test_where_the_system_brings_updates_the_program_does_not_look(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inside = origin.DISTRIBUTION.relative_to(Path(origin.__file__).parents[3])
    (tmp_path / inside).parent.mkdir(parents=True)
    package.leave_updates_to_system(tmp_path, package.TARGETS[name])
    monkeypatch.setattr(origin, "DISTRIBUTION", tmp_path / inside)

    told = origin.find_origin({origin.ADDRESS_VARIABLE: "https://deskside.example/latest.json"}).why_not

    upgrade = {"deb": "apt upgrade", "rpm": "dnf upgrade", "flatpak": "flatpak update"}.get(name)
    assert bool(told) == (upgrade is not None)
    assert upgrade is None or told.endswith(upgrade)


@pytest.mark.slow
def test_an_rpm_owns_its_own_folders_and_no_others_and_takes_one_python_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1790000000")
    for name in ("usr/lib/deskside/bin/deskside", "usr/bin/deskside", "usr/share/mime/packages/x y.xml"):
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).touch()

    spec = rpm.spec_text(tmp_path, package.merged_configuration(tmp_path))

    owned = spec.partition("%files\n")[2].partition("\n\n")[0].splitlines()
    assert {
        "/usr/lib/deskside",
        "/usr/share/doc/deskside",
        '"/usr/bin/deskside"',
        '"/usr/share/mime/packages/x y.xml"',
    } == set(owned)
    assert f"Requires: python(abi) = {sys.version_info.major}.{sys.version_info.minor}\n" in spec
    assert "* Mon Sep 21 2026 " in spec


def test_briefcase_accepts_the_configuration_for_all_three_systems() -> None:
    lines = run_package("check").splitlines()

    assert set(package.TARGETS) == {line.partition(":")[0] for line in lines}
    assert {"linux", "macOS", "windows"} == {line.rpartition(" ")[2] for line in lines}
    assert all("org.deskside.deskside" in line for line in lines)


def test_a_part_of_the_page_has_a_licence_and_its_text() -> None:
    parts = {part.name: part for part in notices.page_parts()}

    assert "preact" in parts
    assert "vite" not in parts
    assert [] == [name for name, part in parts.items() if not part.texts]
    assert "OFL-1.1" == parts["@fontsource-variable/inter"].licence


def test_a_wheel_has_its_licence_read_out_of_it(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "thing-1.2-py3-none-any.whl", "w") as wheel:
        wheel.writestr("thing/LICENSE-of-data.txt", "not of the package")
        wheel.writestr("thing-1.2.dist-info/METADATA", "Name: thing\nVersion: 1.2\nLicense-Expression: MIT\n")
        wheel.writestr("thing-1.2.dist-info/licenses/", "")  # some list their folders
        wheel.writestr("thing-1.2.dist-info/licenses/LICENSES/MIT.txt", "As is.\n")

    (part,) = notices.python_parts(tmp_path)

    assert notices.Part("thing", "1.2", "MIT", ("As is.",)) == part
    assert "As is." in notices.text(tmp_path)
