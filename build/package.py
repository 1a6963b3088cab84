#!/usr/bin/env python3
"""Build an installer into dist/. Needs Python and, once, the network; every package is checked by its hash.

    python3 build/package.py deb        Debian and Ubuntu, for the release this runs on
    python3 build/package.py model      the on-device model as a package of its own, for every release
    python3 build/package.py rpm        Fedora, on Fedora
    python3 build/package.py flatpak    needs flatpak-builder
    python3 build/package.py dmg | pkg  on a Mac; --sign IDENTITY signs, and has Apple notarise it
    python3 build/package.py msi        on Windows; --sign THUMBPRINT signs
    python3 build/package.py wheel      for pip and pipx
    python3 build/package.py pyz        one file for a machine that has Python and a web engine
    python3 build/package.py lists      what ships, for people (licences) and machines (CycloneDX)
    python3 build/package.py check      does Briefcase accept the configuration for all three systems?
    python3 build/package.py try        install the wheel with pip and with pipx, and use it (Linux)
    python3 build/package.py sums       dist/SHA256SUMS over what is in dist/

Briefcase reads ./pyproject.toml and writes ./build and ./dist, which are ours. So it runs in a staging
folder, .build/stage/<platform>-<format>/, with a pyproject.toml merged from ours and briefcase.toml. On Linux
two builds of one commit give the same bytes: all times are those of the commit.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import shutil
import subprocess
import sys
import time
import tomllib
import zipfile
from pathlib import Path
from typing import Any, NamedTuple

import dev
import frontend
import notices

ROOT = dev.ROOT
WORK = ROOT / ".build" / "package"
ENVIRONMENT = WORK / "environment"
WHEELHOUSE = WORK / "wheels"
STAGES = ROOT / ".build" / "stage"
DIST = ROOT / "dist"
APP_LOCK = dev.LOCKS / "app.txt"
LOCKS = (dev.LOCKS / "build.txt", dev.LOCKS / "package.txt")
APP = "deskside"
APP_ID = "org.deskside.deskside"
# What Linux packages hold beside the program: the entry in menus, the description for stores, file types.
LINUX_FILES = ROOT / "build" / "installers" / "linux"
# The licences of what others made: inside the program, where each system has it.
NOTICES = "THIRD-PARTY.txt"
# Systems that bring updates themselves: what users are told where others are told of a newer version.
# `Distribution` in deskside/backend/updates/origin.py is what reads it.
UPDATES = {
    "deb": {
        "name": "a Debian package",
        "how_to_update": "With its repository among your system's sources, they come with: "
        "sudo apt update && sudo apt upgrade",
    },
    "rpm": {
        "name": "an RPM package",
        "how_to_update": "With its repository among your system's, they come with: sudo dnf upgrade",
    },
    "flatpak": {"name": "a Flatpak", "how_to_update": "They come with: flatpak update"},
}
# Which of [project] Briefcase has no use for; an extra is nobody's installer.
NOT_FOR_BRIEFCASE = ("readme", "scripts", "optional-dependencies")


class Target(NamedTuple):
    """An installer in Briefcase's words. `platform` is sys.platform where it can be built."""

    briefcase_platform: str
    output_format: str
    packaging_format: str
    platform: str


TARGETS = {
    "deb": Target("linux", "system", "deb", "linux"),
    "rpm": Target("linux", "system", "rpm", "linux"),
    "flatpak": Target("linux", "flatpak", "flatpak", "linux"),
    "dmg": Target("macOS", "app", "dmg", "darwin"),
    "pkg": Target("macOS", "app", "pkg", "darwin"),
    "msi": Target("windows", "app", "msi", "win32"),
}


def main() -> int:
    options = read_options()
    if options.target == "sums":
        write_sums()
        return 0
    if not is_in_environment():
        ensure_environment()
        dev.become([str(environment_python()), __file__, *sys.argv[1:]], dict(os.environ))
    # What is made must not depend on who makes it.
    os.umask(0o022)
    os.environ |= {"SOURCE_DATE_EPOCH": str(commit_time()), "PYTHONHASHSEED": "0", "LC_ALL": "C.UTF-8"}
    # For the description of the model, here and in build/model.py.
    os.environ["PYTHONPATH"] = str(ROOT / "backend")
    sys.path.append(str(ROOT / "backend"))
    if options.target == "check":
        check_configuration()
        return 0
    if options.target == "try":
        import try_wheel

        try_wheel.main(build_wheel())
        return 0
    DIST.mkdir(exist_ok=True)
    for path in build(options):
        print(f"{path.relative_to(ROOT)}  {path.stat().st_size / 1e6:.1f} MB")
    return 0


def read_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "target", choices=[*TARGETS, "model", "wheel", "pyz", "lists", "check", "try", "sums"]
    )
    parser.add_argument("--sign", metavar="IDENTITY", help="sign with this certificate")
    options = parser.parse_args()
    target = TARGETS.get(options.target)
    if target and target.platform != sys.platform:
        parser.error(f"a {options.target} is built on {target.briefcase_platform}")
    return options


def build(options: argparse.Namespace) -> list[Path]:
    """Build one target and return the files in dist/."""
    if options.target == "model":
        import deb

        run(environment_python(), ROOT / "build" / "model.py")
        return [deb.build_model(STAGES / "model", merged_configuration(WHEELHOUSE), DIST)]
    wheel = build_wheel()
    if options.target == "wheel":
        return [Path(shutil.copy2(wheel, DIST))]
    wheels = fill_wheelhouse()
    if options.target == "pyz":
        return [build_pyz(wheel, wheels)]
    if options.target == "lists":
        return write_lists(wheels)
    target = TARGETS[options.target]
    stage = lay_out(target, wheel, wheels)
    if target.output_format == "system":
        briefcase(stage, "create", target)
        tree = linux_tree(stage)
        add_linux_files(tree / "usr" / "share")
        briefcase(stage, "build", target)
        if target.packaging_format == "deb":
            import deb

            return [deb.build(tree, merged_configuration(wheels), DIST)]
        import rpm

        return [rpm.build(tree, merged_configuration(wheels), DIST, options.sign)]
    if target.output_format == "flatpak":
        briefcase(stage, "create", target)
        # Where the manifest is, which copies it.
        add_linux_files(stage / "build" / APP / "linux" / "flatpak" / "share")
    if target.packaging_format == "msi":
        import msi

        briefcase(stage, "create", target)
        msi.complete(stage / "build" / APP / target.briefcase_platform / target.output_format)
    signing = ["--identity", options.sign] if options.sign else ["--adhoc-sign"]
    briefcase(stage, "package", target, "--packaging-format", target.packaging_format, *signing)
    return [Path(shutil.copy2(path, DIST)) for path in sorted((stage / "dist").iterdir())]


# -- the environment that builds ------------------------------------------------------------------


def environment_python() -> Path:
    return ENVIRONMENT / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def is_in_environment() -> bool:
    return Path(sys.prefix) == ENVIRONMENT


def ensure_environment() -> None:
    """Make the environment with Briefcase in it, unless it is there for these locks."""
    mark = ENVIRONMENT / ".set-up"
    # The page is built on the way.
    locks = LOCKS if frontend.system_node() else (*LOCKS, dev.LOCKS / "node.txt")
    wanted = dev.fingerprint(locks)
    if mark.is_file() and mark.read_text("utf-8") == wanted:
        return
    dev.say("making the environment that builds installers (hash-checked)")
    # On Linux the system's Python runs the program, so that one has to build it.
    python = "/usr/bin/python3" if sys.platform == "linux" else sys.executable
    run(python, "-m", "venv", "--clear", ENVIRONMENT)
    for lock in locks:
        pip("install", "--require-hashes", "--no-build-isolation", "--requirement", lock)
    mark.write_text(wanted, "utf-8")


def pip(*arguments: str | Path) -> None:
    run(environment_python(), "-m", "pip", "--quiet", "--disable-pip-version-check", *arguments)


def run(*command: str | Path, folder: Path = ROOT) -> None:
    """Run a command. What it says is shown when it fails, and the build ends there."""
    done = subprocess.run(
        command,
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if done.returncode:
        sys.exit(f"{done.stdout}\nThis failed, for the reason above: {' '.join(map(str, command))}")


def commit_time() -> int:
    """Seconds since 1970: SOURCE_DATE_EPOCH, else when the commit was made that this is."""
    if given := os.environ.get("SOURCE_DATE_EPOCH"):
        return int(given)
    asked = subprocess.run(
        ["git", "log", "-1", "--format=%ct"], cwd=ROOT, stdout=subprocess.PIPE, text=True, check=False
    )
    if asked.returncode:
        sys.exit("Outside of git, say in SOURCE_DATE_EPOCH which time the files get (seconds since 1970).")
    return int(asked.stdout)


# -- what goes in ---------------------------------------------------------------------------------


def build_wheel() -> Path:
    """Our wheel, with the page in it."""
    folder = WORK / "wheel"
    shutil.rmtree(folder, ignore_errors=True)
    run(environment_python(), "-m", "hatchling", "build", "--target", "wheel", "--directory", folder)
    (wheel,) = folder.glob("*.whl")
    return wheel


def fill_wheelhouse() -> Path:
    """A folder with the locked dependencies as wheels for this Python and machine, hash-checked."""
    python = f"{sys.implementation.cache_tag}-{sys.platform}"
    folder = WHEELHOUSE / f"{python}-{hashlib.sha256(APP_LOCK.read_bytes()).hexdigest()[:12]}"
    if folder.is_dir():
        return folder
    dev.say("fetching what the program depends on (hash-checked)")
    draft = folder.with_suffix(".part")
    shutil.rmtree(draft, ignore_errors=True)
    # pywebview's proxy_tools has no wheel: it is built with our locked setuptools.
    pip(
        "wheel", "--no-deps", "--require-hashes", "--no-build-isolation",
        "--requirement", APP_LOCK, "--wheel-dir", draft,
    )  # fmt: skip
    draft.rename(folder)
    return folder


def lay_out(target: Target, wheel: Path, wheels: Path) -> Path:
    """The staging folder, filled for Briefcase."""
    stage = STAGES / f"{target.briefcase_platform}-{target.output_format}"
    shutil.rmtree(stage, ignore_errors=True)
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(stage / "src")
    for name in ("LICENSE", "CHANGELOG.md"):
        shutil.copy(ROOT / name, stage)
    (stage / "src" / APP / NOTICES).write_text(notices.text(wheels), "utf-8")
    leave_updates_to_system(stage / "src", target)
    shutil.copy(ROOT / "build" / "installers" / "deskside.1", stage)
    shutil.copytree(ROOT / "build" / "icons", stage / "icons")
    import tomli_w

    configuration = tomli_w.dumps(merged_configuration(wheels))
    (stage / "pyproject.toml").write_text(configuration, "utf-8")
    return stage


def leave_updates_to_system(source: Path, target: Target) -> None:
    """Keep the program in `source` from looking for newer versions, where the system brings them."""
    told = UPDATES.get(target.packaging_format)
    if told is not None:
        file = source / APP / "backend" / "updates" / "distribution.json"
        file.write_text(json.dumps(told) + "\n", "utf-8")


def merged_configuration(wheels: Path) -> dict[str, Any]:
    """[project] of pyproject.toml and briefcase.toml as the one file that Briefcase reads.

    Dependencies come from `wheels` alone.
    """
    project = tomllib.loads(dev.PROJECT.read_text("utf-8"))["project"]
    for key in NOT_FOR_BRIEFCASE:
        del project[key]
    briefcase = tomllib.loads((ROOT / "briefcase.toml").read_text("utf-8"))["tool"]["briefcase"]
    app = briefcase["app"][APP]
    app["requirement_installer_args"] = ["--no-index", f"--find-links={wheels}"]
    system = app["linux"]["system"]
    system["template"] = str(ROOT / system["template"])
    return {"project": project, "tool": {"briefcase": briefcase}}


def briefcase(stage: Path, command: str, target: Target, *arguments: str) -> None:
    words = [command, target.briefcase_platform, target.output_format, "--no-input", *arguments]
    run(environment_python(), "-m", "briefcase", *words, folder=stage)


def check_configuration() -> None:
    """Let Briefcase read the configuration as each platform does. Exits with what it does not accept."""
    import tomli_w
    from briefcase.config import BriefcaseConfigError
    from briefcase.console import Console
    from briefcase.platforms import get_output_formats

    stage = STAGES / "check"
    stage.mkdir(parents=True, exist_ok=True)
    (stage / "LICENSE").touch()
    for name, target in TARGETS.items():
        # Reading it takes out what belongs to other platforms.
        (stage / "pyproject.toml").write_text(tomli_w.dumps(merged_configuration(WHEELHOUSE)), "utf-8")
        formats = get_output_formats(target.briefcase_platform)
        command = formats[target.output_format].create(console=Console())
        try:
            command.parse_config(stage / "pyproject.toml", {})
        except BriefcaseConfigError as error:
            sys.exit(f"{name}: {error}")
        app = command.apps[APP]
        print(f"{name}: {app.bundle_identifier} {app.version} for {target.briefcase_platform}")


def linux_tree(stage: Path) -> Path:
    """What Briefcase has laid out: the folder that becomes / where the package is installed."""
    (tree,) = stage.glob(f"build/{APP}/*/*/{APP}-*")
    return tree


def add_linux_files(share: Path) -> None:
    """The entry in menus, the description for stores, the file types, and the icons for any size."""
    shutil.copytree(LINUX_FILES / "usr" / "share", share, dirs_exist_ok=True)
    (described,) = share.glob("metainfo/*.xml")
    day = time.strftime("%Y-%m-%d", time.gmtime(int(os.environ["SOURCE_DATE_EPOCH"])))
    text = described.read_text("utf-8").replace("@VERSION@", project_version()).replace("@DATE@", day)
    described.write_text(text, "utf-8")
    for folder, ending in (("scalable", ""), ("symbolic", "-symbolic")):
        icons = share / "icons" / "hicolor" / folder / "apps"
        icons.mkdir(parents=True)
        shutil.copy(ROOT / "build" / "icons" / f"{APP}{ending}.svg", icons / f"{APP_ID}{ending}.svg")


def project_version() -> str:
    version: str = tomllib.loads(dev.PROJECT.read_text("utf-8"))["project"]["version"]
    return version


def build_pyz(wheel: Path, wheels: Path) -> Path:
    """One file that any Python of this version runs, on this kind of machine."""
    target = DIST / f"{APP}-{project_version()}-{sys.implementation.cache_tag}-{sys.platform}.pyz"
    run(
        environment_python(), "-m", "shiv.cli",
        # Programs that Deskside starts in the same Python must find it, too.
        "--extend-pythonpath", "--reproducible", "--compressed",
        "--python", "/usr/bin/env python3", "--console-script", APP, "--output-file", target,
        "--no-index", "--find-links", wheels, wheel,
    )  # fmt: skip
    return target


def write_lists(wheels: Path) -> list[Path]:
    """The licences, and the lists of what the program and its page consist of."""
    shipped = WORK / "shipped"
    run(sys.executable, "-m", "venv", "--clear", "--without-pip", shipped)
    python = shipped / environment_python().relative_to(ENVIRONMENT)
    pip("--python", python, "install", "--no-index", "--no-deps", *sorted(wheels.glob("*.whl")))
    licences, program, page = (
        DIST / f"{APP}-{project_version()}.{ending}"
        for ending in (NOTICES, "python.cdx.json", "page.cdx.json")
    )
    licences.write_text(notices.text(wheels), "utf-8")
    notices.write_python_list(shipped, program)
    notices.write_page_list(page)
    return [licences, program, page]


def write_sums() -> None:
    """dist/SHA256SUMS, as `sha256sum --check` reads it."""
    files = sorted(path for path in DIST.iterdir() if path.name != "SHA256SUMS")
    lines = [f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n" for path in files]
    (DIST / "SHA256SUMS").write_text("".join(lines), "utf-8")


if __name__ == "__main__":
    sys.exit(main())
