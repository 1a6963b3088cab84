"""What the .msi brings beside what Briefcase puts in: `deskside://` links, and the command for terminals.

Briefcase's template for Windows knows no protocols and no commands, so its .wxs is completed between `create`
and `package`. Where it is not as this expects, the build ends. Written from WiX's documentation; what the
installer then does was never seen on Windows.

Sources: Microsoft Learn, "Registering an Application to a URI Scheme"; the .wxs of
beeware/briefcase-windows-app-template (August 2026), which WiX 5 compiles.
"""

from __future__ import annotations

import shutil
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
FILES = ROOT / "build" / "installers" / "windows"
APP = "deskside"
PROGRAM = "[INSTALLFOLDER]Deskside.exe"
# What the page, another program or a mail gives as a link is one argument, and no option, whatever it holds.
OPEN = f'"{PROGRAM}" open -- "%1"'
COMMANDS = "[INSTALLFOLDER]bin"
NOTIFIER = r"Software\Classes\AppUserModelId\Deskside"

WXS = "http://wixtoolset.org/schemas/v4/wxs"
NAMESPACES = {"": WXS, **{name: f"{WXS}/{name}" for name in ("ui", "netfx", "util")}}
# What must be there once: the feature that is always installed, the folder, the program in it, and the folder
# whose files are installed as they lie in it.
EXPECTED = (
    "Package/Feature[@Id='DefaultFeature']",
    "Package/StandardDirectory//Directory[@Id='INSTALLFOLDER']",
    f"Package//Shortcut[@Target='{PROGRAM}']",
    r"Package/ComponentGroup/Files[@Include='.\extras\**'][@Directory='INSTALLFOLDER']",
)


def complete(bundle: Path) -> None:
    """Add ours to what Briefcase has laid out in `bundle`. Exits where that is laid out in another way."""
    add_component(bundle / f"{APP}.wxs")
    shutil.copytree(FILES, bundle / "extras", dirs_exist_ok=True)


def add_component(source: Path) -> None:
    """Add the registry's keys and the user's PATH to a .wxs, with the feature that is always installed."""
    for prefix, uri in NAMESPACES.items():
        ElementTree.register_namespace(prefix, uri)
    with_comments = ElementTree.XMLParser(target=ElementTree.TreeBuilder(insert_comments=True))
    tree = ElementTree.parse(source, with_comments)
    for place in EXPECTED:
        found = len(tree.findall(place, NAMESPACES))
        if found != 1:
            sys.exit(
                f"Briefcase's template for Windows has changed: {place} is in {source.name} {found} times. "
                "Look at what it does now, then at build/msi.py."
            )
    feature = tree.find(EXPECTED[0], NAMESPACES)
    assert feature is not None
    feature.append(links_and_command())
    ElementTree.indent(tree, "    ")
    tree.write(source, "utf-8", xml_declaration=True)


def links_and_command() -> ElementTree.Element:
    """`deskside://` in the registry of the user who installs it (or of the machine), and the folder of
    `deskside.cmd` as the last on that user's PATH; both until it is removed. What the program itself has put
    into the registry for its notifications goes then, too."""
    component = _element("Component", Id="LinksAndCommand", Directory="INSTALLFOLDER")
    key = _element("RegistryKey", Root="HKMU", Key=rf"Software\Classes\{APP}", ForceDeleteOnUninstall="yes")
    key.append(_element("RegistryValue", Type="string", Value="URL:Deskside", KeyPath="yes"))
    key.append(_element("RegistryValue", Type="string", Name="URL Protocol", Value=""))
    for name, value in (("DefaultIcon", f"{PROGRAM},0"), (r"shell\open\command", OPEN)):
        inner = _element("RegistryKey", Key=name)
        inner.append(_element("RegistryValue", Type="string", Value=value))
        key.append(inner)
    path = {"Name": "PATH", "Action": "set", "Part": "last", "System": "no", "Value": COMMANDS}
    # Written by the library that shows notifications, at the first of them.
    told = {"Root": "HKCU", "Key": NOTIFIER, "Action": "removeOnUninstall"}
    component.extend(
        [key, _element("Environment", Id="CommandFolder", **path), _element("RemoveRegistryKey", **told)]
    )
    return component


def _element(name: str, **attributes: str) -> ElementTree.Element:
    return ElementTree.Element(f"{{{WXS}}}{name}", attributes)
