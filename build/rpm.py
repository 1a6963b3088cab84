"""An RPM package out of what Briefcase has laid out.

Briefcase's own spec names no licence, takes any Python, and means to leave the insides of wheels alone but
names another folder than the one they are in: the package would offer their libraries to the whole system.
The package belongs to the release of Fedora that it was built on: it holds modules compiled for that
release's Python.
"""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import deb

NAME = "deskside"
REVISION = 1
# Ours alone; what others also put files into stays when the package goes.
OUR_FOLDERS = ("usr/lib/deskside", "usr/share/doc/deskside")

SPEC = """\
# The files are as they are to be: no second look at scripts, libraries and bytecode.
%global __os_install_post %{{nil}}
%global debug_package %{{nil}}
%global _build_id_links none
# What wheels bring is theirs alone.
%global __requires_exclude_from ^/usr/lib/{name}/.*$
%global __provides_exclude_from ^/usr/lib/{name}/.*$
# Two builds of one commit give the same bytes.
%global _buildhost deskside
%global use_source_date_epoch_as_buildtime 1
%global clamp_mtime_to_source_date_epoch 1

Name: {name}
Version: {version}
Release: {revision}%{{?dist}}
Summary: {summary}
License: {licence}
URL: {url}
ExclusiveArch: {machine}
{needs}
# Without them: no keys kept, links not opened, no icon in the tray.
Recommends: gnome-keyring
Recommends: xdg-utils
Recommends: libayatana-appindicator-gtk3

%description
{description}

%install
cp --archive {tree}/. %{{buildroot}}

%posttrans
# Else every start would compile all of it: nobody but root may write here. What an older one left goes.
find /usr/lib/{name} -name __pycache__ -prune -exec rm -rf {{}} +
/usr/lib/{name}/bin/{name} -I -m compileall -q /usr/lib/{name}/lib || :

%preun
if [ "$1" = 0 ]; then
    find /usr/lib/{name} -name __pycache__ -prune -exec rm -rf {{}} +
fi

%files
{files}

%changelog
* {day} {maintainer} - {version}-{revision}
- Deskside {version}; what is new is in changelog.gz.
"""


def build(tree: Path, configuration: dict[str, Any], dist: Path, key: str | None) -> Path:
    """Build the package into `dist`, of the `tree` that Briefcase built with `configuration`. Needs rpmbuild,
    and rpmsign where GnuPG's `key` is to sign it."""
    deb.strip(tree)
    deb.settle(tree)
    work = tree.parent / "rpm"
    work.mkdir(exist_ok=True)
    spec = work / f"{NAME}.spec"
    spec.write_text(spec_text(tree, configuration), "utf-8")
    subprocess.run(
        [
            "rpmbuild",
            "-bb",
            "--quiet",
            "--define",
            f"_topdir {work}",
            "--define",
            f"_rpmdir {work}/done",
            spec,
        ],
        check=True,
    )
    (package,) = work.glob("done/*/*.rpm")
    if key is not None:
        subprocess.run(["rpmsign", "--define", f"_gpg_name {key}", "--addsign", package], check=True)
    return package.replace(dist / package.name)


def spec_text(tree: Path, configuration: dict[str, Any]) -> str:
    """What rpmbuild makes the package from. Needs SOURCE_DATE_EPOCH."""
    project, briefcase = configuration["project"], configuration["tool"]["briefcase"]
    app = briefcase["app"][NAME]
    summary = project["description"].removeprefix("A ")
    needs = [
        # The very Python that the modules were compiled for.
        f"python(abi) = {sys.version_info.major}.{sys.version_info.minor}",
        *app["linux"]["system"]["rhel"]["system_runtime_requires"],
    ]
    return SPEC.format(
        name=NAME,
        version=project["version"],
        revision=REVISION,
        summary=summary[0].upper() + summary[1:],
        licence=project["license"],
        url=briefcase["url"],
        machine=os.uname().machine,
        needs="\n".join(f"Requires: {need}" for need in needs),
        description=textwrap.fill(app["long_description"], 76),
        tree=tree,
        files="\n".join(_files(tree)),
        day=time.strftime("%a %b %d %Y", time.gmtime(int(os.environ["SOURCE_DATE_EPOCH"]))),
        maintainer=f"{project['authors'][0]['name']} <{briefcase['author_email']}>",
    )


def _files(tree: Path) -> Iterator[str]:
    """What the package owns, as a spec names it."""
    for folder in OUR_FOLDERS:
        yield f"/{folder}"
    for path in sorted(tree.rglob("*")):
        name = path.relative_to(tree)
        is_folder = path.is_dir() and not path.is_symlink()
        if not is_folder and not any(name.is_relative_to(folder) for folder in OUR_FOLDERS):
            yield f'"/{name}"'
