"""What ships in an installer besides our own code: its licences in one text, and lists for machines.

The licences are read out of the wheels and packages themselves. The lists are in the format CycloneDX.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
import zipfile
from collections.abc import Iterator
from email.parser import Parser
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

import frontend

PAGE_LOCK = frontend.PAGE / "package-lock.json"
LICENCE_FILE = re.compile(r"(?:licen[cs]e|copying|notice|copyright|authors)", re.IGNORECASE)
# Who bring the text of their licence but name it nowhere.
KNOWN = {"pyrage": "MIT"}
RULE = "-" * 78
HEAD = """\
Deskside is under the MIT licence. It ships with the work of others, each under a licence of its own:
"""


class Part(NamedTuple):
    """Something that ships. `texts` are its licence files, as they are."""

    name: str
    version: str
    licence: str
    texts: tuple[str, ...]


def text(wheels: Path) -> str:
    """The notices for the wheels in a folder and the packages in the page."""
    parts = [*python_parts(wheels), *page_parts()]
    listed = "".join(f"  {part.name} {part.version}: {part.licence}\n" for part in parts)
    full = "".join(_section(part) for part in parts)
    return f"{HEAD}\n{listed}\n{full}"


def _section(part: Part) -> str:
    body = "\n\n".join(part.texts) or f"Under {part.licence}. It brings no text of its licence."
    return f"{RULE}\n{part.name} {part.version} ({part.licence})\n\n{body}\n\n"


def python_parts(wheels: Path) -> Iterator[Part]:
    """One part a wheel, by name."""
    for path in sorted(wheels.glob("*.whl"), key=lambda path: path.name.lower()):
        with zipfile.ZipFile(path) as wheel:
            names = wheel.namelist()
            (metadata_name,) = (name for name in names if name.endswith(".dist-info/METADATA"))
            metadata = Parser().parsestr(wheel.read(metadata_name).decode("utf-8", "replace"))
            texts = tuple(
                wheel.read(name).decode("utf-8", "replace").strip()
                for name in sorted(names)
                if ".dist-info/" in name and not name.endswith("/") and _is_licence(PurePosixPath(name))
            )
            yield Part(metadata["Name"], metadata["Version"], _licence(metadata), texts)


def _is_licence(path: PurePosixPath) -> bool:
    """A file of the metadata folder, which has a folder for licences, too."""
    in_folder = any(part.lower() in ("licenses", "licences") for part in path.parts[1:-1])
    return in_folder or bool(LICENCE_FILE.match(path.name))


def _licence(metadata: Any) -> str:
    """As the package names it: an expression, a classifier, or the first line of what it wrote."""
    if expression := metadata["License-Expression"]:
        return str(expression)
    classifiers = metadata.get_all("Classifier", [])
    named = [line.rpartition(" :: ")[2] for line in classifiers if line.startswith("License :: ")]
    if named and named != ["OSI Approved"]:
        return ", ".join(named)
    if written := (metadata["License"] or "").strip():
        return str(written.splitlines()[0])
    return KNOWN.get(metadata["Name"].replace("_", "-").lower(), "unknown")


def page_parts() -> Iterator[Part]:
    """What the page is built from, without what only builds it."""
    frontend.ensure_packages()
    for place, package in json.loads(PAGE_LOCK.read_text("utf-8"))["packages"].items():
        if not place or package.get("dev"):
            continue
        files = [path for path in sorted((frontend.PAGE / place).iterdir()) if LICENCE_FILE.match(path.name)]
        texts = tuple(path.read_text("utf-8").strip() for path in files)
        name = place.rpartition("node_modules/")[2]
        yield Part(name, package["version"], package["license"], texts)


def write_python_list(shipped: Path, target: Path) -> None:
    """The CycloneDX list of an environment that holds exactly what ships."""
    command = [
        sys.executable,
        "-m",
        "cyclonedx_py",
        "environment",
        "--output-reproducible",
        "--gather-license-texts",
    ]
    subprocess.run([*command, "--output-file", str(target), str(shipped)], check=True)


def write_page_list(target: Path) -> None:
    """The CycloneDX list of what the page is built from."""
    command = frontend.npm_command("sbom", "--sbom-format=cyclonedx", "--omit=dev", "--package-lock-only")
    made = subprocess.run(
        command, cwd=frontend.PAGE, env=frontend.npm_environment(), stdout=subprocess.PIPE, check=True
    )
    listed = json.loads(made.stdout)
    # Two lists of the same must be the same.
    del listed["serialNumber"]
    when = time.gmtime(int(os.environ["SOURCE_DATE_EPOCH"]))
    listed["metadata"]["timestamp"] = time.strftime("%Y-%m-%dT%H:%M:%SZ", when)
    target.write_text(json.dumps(listed, indent=2) + "\n", "utf-8")
