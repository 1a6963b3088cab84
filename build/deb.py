"""Debian packages out of what Briefcase has laid out: the program's, and one with the on-device model.

Briefcase's own `package` writes a control file without recommendations or scripts; this takes its place. The
package belongs to the Debian or Ubuntu release that it was built on: it holds modules compiled for that
release's Python, and depends on exactly that one.
"""

from __future__ import annotations

import gzip
import hashlib
import os
import platform
import shutil
import subprocess
import sys
import textwrap
from email.utils import formatdate
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).resolve().parents[1]
SCRIPTS = ROOT / "build" / "installers" / "debian"
MODELS = ROOT / ".build" / "models"
NAME = "deskside"
MODEL_NAME = "deskside-model-smollm2"
REVISION = 1


class Package(NamedTuple):
    """A package to be: its tree, and the fields of its control file."""

    tree: Path
    fields: dict[str, str]

    @property
    def file_name(self) -> str:
        return f"{self.fields['Package']}_{self.fields['Version']}_{self.fields['Architecture']}.deb"


def build(tree: Path, configuration: dict[str, Any], dist: Path) -> Path:
    """Build the program's package into `dist`, of the `tree` that Briefcase built with `configuration`."""
    return _pack(_program(tree, configuration), dist)


def build_model(folder: Path, configuration: dict[str, Any], dist: Path) -> Path:
    """Build the model's package into `dist`. It is laid out in `folder`."""
    shutil.rmtree(folder, ignore_errors=True)
    return _pack(_model(folder, configuration), dist)


def _program(tree: Path, configuration: dict[str, Any]) -> Package:
    project, briefcase = configuration["project"], configuration["tool"]["briefcase"]
    app = briefcase["app"][NAME]
    debian = app["linux"]["system"]["debian"]
    version = f"{project['version']}-{REVISION}~{_release()}"
    major, minor = sys.version_info[:2]
    needs = [
        f"libc6 (>= {platform.libc_ver()[1]})",
        f"python3 (>= {major}.{minor})",
        f"python3 (<< {major}.{minor + 1})",
        *debian["system_runtime_requires"],
    ]
    fields = {
        "Package": NAME,
        "Version": version,
        "Architecture": _output("dpkg", "--print-architecture"),
        "Maintainer": _maintainer(configuration),
        "Depends": ", ".join(needs),
        # Without it the program offers to fetch the model itself. Keys are kept by the Secret Service.
        "Recommends": f"{MODEL_NAME}, ca-certificates, xdg-utils, gnome-keyring | kwalletmanager, "
        "gir1.2-ayatanaappindicator3-0.1",
        "Section": debian["system_section"],
        "Priority": "optional",
        "Homepage": briefcase["url"],
        "Description": _description(project["description"], app["long_description"]),
    }
    package = Package(tree, fields)
    strip(tree)
    # Debian's policy wants it relative within /usr.
    python = tree / "usr" / "lib" / NAME / "bin" / NAME
    python.unlink()
    python.symlink_to(f"../../../bin/python{major}.{minor}")
    _move_notices(package)
    _write_changelog(package, f"Deskside {project['version']}; what is new is in changelog.gz.")
    (tree / "DEBIAN").mkdir()
    for name in ("postinst", "prerm"):
        script = (SCRIPTS / name).read_text("utf-8").replace("@PYTHON@", f"{major}.{minor}")
        (tree / "DEBIAN" / name).write_text(script, "utf-8")
        (tree / "DEBIAN" / name).chmod(0o755)
    return package


def _model(tree: Path, configuration: dict[str, Any]) -> Package:
    """The model by itself: an update of the program does not bring it again, and it fits every machine."""
    from deskside.backend.agent.device_models import SMOLLM2

    fields = {
        "Package": MODEL_NAME,
        "Version": f"{SMOLLM2.version}-{REVISION}",
        "Architecture": "all",
        "Maintainer": _maintainer(configuration),
        "Enhances": NAME,
        "Section": "misc",
        "Priority": "optional",
        "Homepage": "https://huggingface.co/HuggingFaceTB/SmolLM2-135M-Instruct",
        "Description": _description(
            "small language model for Deskside that needs no network",
            "SmolLM2 with 135 million parameters, by Hugging Face, as a GGUF file of 4 bits a weight. It "
            "answers simple questions on the machine itself; it is not for real work.",
        ),
    }
    package = Package(tree, fields)
    folder = tree / "usr" / "share" / NAME / "models"
    folder.mkdir(parents=True)
    file = Path(shutil.copy(MODELS / SMOLLM2.file_name, folder))
    if hashlib.sha256(file.read_bytes()).hexdigest() != SMOLLM2.sha256:
        sys.exit(f"{file.name} is damaged: delete .build/models and run this again.")
    _write_changelog(package, f"{SMOLLM2.label}, as {SMOLLM2.project} {SMOLLM2.version} carries it.")
    shutil.copy(SCRIPTS / f"{MODEL_NAME}.copyright", _documents(package) / "copyright")
    (tree / "DEBIAN").mkdir()
    return package


def strip(tree: Path) -> None:
    """Take symbols for debuggers out of compiled modules: three quarters of the largest are that.

    Not out of the libraries that wheels were mended with (`*.libs`): a mended file can break of it.
    """
    modules = [path for path in sorted(tree.rglob("*.so")) if not path.parent.name.endswith(".libs")]
    subprocess.run(["strip", "--strip-unneeded", *modules], check=True)


def _move_notices(package: Package) -> None:
    """The licences of what others made, to where Debian's users look for them."""
    (notices,) = package.tree.rglob("THIRD-PARTY.txt")
    documents = _documents(package)
    (documents / "third-party.gz").write_bytes(gzip.compress(notices.read_bytes(), mtime=0))
    notices.unlink()
    with (documents / "copyright").open("a", encoding="utf-8") as file:
        file.write("\nWhat others made, and its licences, is listed in third-party.gz beside this file.\n")


def _release() -> str:
    """What tells this release's build from the next one's: deb12, ubuntu24.04. They sort as releases do."""
    release = platform.freedesktop_os_release()
    identifier = "deb" if release["ID"] == "debian" else release["ID"]
    return f"{identifier}{release['VERSION_ID']}"


def _maintainer(configuration: dict[str, Any]) -> str:
    author = configuration["project"]["authors"][0]["name"]
    return f"{author} <{configuration['tool']['briefcase']['author_email']}>"


def _description(short: str, long: str) -> str:
    # Debian's policy: a phrase, without an article.
    short = short.removeprefix("A ")
    return "\n".join([short, *textwrap.wrap(long, 76, initial_indent=" ", subsequent_indent=" ")])


def _documents(package: Package) -> Path:
    folder = package.tree / "usr" / "share" / "doc" / package.fields["Package"]
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _write_changelog(package: Package, text: str) -> None:
    """Debian's own changelog, which says what the package is; the program's is beside it."""
    fields = package.fields
    when = formatdate(int(os.environ["SOURCE_DATE_EPOCH"]))
    entry = (
        f"{fields['Package']} ({fields['Version']}) unstable; urgency=medium\n\n"
        f"  * {text}\n\n -- {fields['Maintainer']}  {when}\n"
    )
    target = _documents(package) / "changelog.Debian.gz"
    target.write_bytes(gzip.compress(entry.encode(), mtime=0))


def _pack(package: Package, dist: Path) -> Path:
    tree, name = package.tree, package.fields["Package"]
    overrides = tree / "usr" / "share" / "lintian" / "overrides"
    overrides.mkdir(parents=True)
    shutil.copy(SCRIPTS / f"{name}.lintian-overrides", overrides / name)
    files = [path for path in sorted(tree.rglob("*")) if path.relative_to(tree).parts[0] != "DEBIAN"]
    regular = [path for path in files if path.is_file() and not path.is_symlink()]
    sums = [f"{hashlib.md5(path.read_bytes()).hexdigest()}  {path.relative_to(tree)}\n" for path in regular]
    (tree / "DEBIAN" / "md5sums").write_text("".join(sums), "utf-8")
    # As Debian's policy counts: in KiB, each file rounded up, one for anything else.
    size = sum(-(-path.stat().st_size // 1024) for path in regular) + len(files) - len(regular)
    fields = {**package.fields, "Installed-Size": str(size)}
    control = "".join(f"{name}: {value}\n" for name, value in fields.items())
    (tree / "DEBIAN" / "control").write_text(control, "utf-8")
    settle(tree)
    for name in ("control", "md5sums"):
        (tree / "DEBIAN" / name).chmod(0o644)
    target = dist / package.file_name
    command = ["dpkg-deb", "--root-owner-group", "--threads-max=2", "--build", str(tree), str(target)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return target


def settle(tree: Path) -> None:
    """Give everything the time of the commit, and the rights that such a file has; wheels bring odd ones."""
    when = int(os.environ["SOURCE_DATE_EPOCH"])
    for path in [tree, *tree.rglob("*")]:
        if not path.is_symlink():
            may_run = path.is_dir() or path.parent.name in ("bin", "DEBIAN")
            path.chmod(0o755 if may_run else 0o644)
        os.utime(path, (when, when), follow_symlinks=False)


def _output(*command: str) -> str:
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout.strip()
