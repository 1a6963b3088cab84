"""What the .msi gets beside what Briefcase puts in, in a .wxs of the shape that Briefcase's template has."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

import msi

SHAPE = r"""
<Wix xmlns="http://wixtoolset.org/schemas/v4/wxs" xmlns:ui="http://wixtoolset.org/schemas/v4/wxs/ui">
  <Package Name="Deskside" Version="0.1.0" Manufacturer="Us" Scope="perUserOrMachine">
    <!-- See scope comments below -->
    <StandardDirectory Id="ProgramFiles64Folder">
      <Directory Name="Us"><Directory Id="INSTALLFOLDER" Name="Deskside" /></Directory>
    </StandardDirectory>
    <ComponentGroup Id="deskside_COMPONENTS">
      <Files Directory="INSTALLFOLDER" Include="\\?\C:\stage\src\**" />
      <Files Directory="INSTALLFOLDER" Include=".\extras\**" />
    </ComponentGroup>
    <StandardDirectory Id="ProgramMenuFolder">
      <Component Id="ApplicationShortcuts">
        <Shortcut Id="ApplicationShortcut1" Name="Deskside" Target="[INSTALLFOLDER]Deskside.exe" />
      </Component>
    </StandardDirectory>
    <Feature Id="DefaultFeature"><ComponentGroupRef Id="deskside_COMPONENTS" /></Feature>
    <Feature Id="DesktopShortcutFeature" Display="hidden" />
    <ui:WixUI Id="WixUI_Common" />
  </Package>
</Wix>
"""


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    (tmp_path / "deskside.wxs").write_text(SHAPE, "utf-8")
    (tmp_path / "extras").mkdir()
    return tmp_path


def installed(bundle: Path) -> ElementTree.Element:
    """The feature that everybody gets."""
    feature = ElementTree.parse(bundle / "deskside.wxs").find("Package/Feature", msi.NAMESPACES)
    assert feature is not None
    assert "DefaultFeature" == feature.get("Id")
    return feature


def values(feature: ElementTree.Element) -> dict[tuple[str, str], str]:
    """What the registry holds below HKMU afterwards, by key and name."""
    found = {}

    def read(key: ElementTree.Element, above: str) -> None:
        path = f"{above}\\{key.get('Key')}".lstrip("\\")
        for value in key.findall("RegistryValue", msi.NAMESPACES):
            found[path, value.get("Name", "")] = value.attrib["Value"]
        for inner in key.findall("RegistryKey", msi.NAMESPACES):
            read(inner, path)

    for key in feature.findall("Component/RegistryKey", msi.NAMESPACES):
        assert ("HKMU", "yes") == (key.get("Root"), key.get("ForceDeleteOnUninstall"))
        read(key, "")
    return found


def test_a_link_starts_the_program_as_its_one_argument(bundle: Path) -> None:
    msi.complete(bundle)

    assert {
        (r"Software\Classes\deskside", ""): "URL:Deskside",
        (r"Software\Classes\deskside", "URL Protocol"): "",
        (r"Software\Classes\deskside\DefaultIcon", ""): "[INSTALLFOLDER]Deskside.exe,0",
        (r"Software\Classes\deskside\shell\open\command", ""): '"[INSTALLFOLDER]Deskside.exe" open -- "%1"',
    } == values(installed(bundle))


def test_the_command_for_terminals_is_in_the_folder_that_is_put_on_the_path(bundle: Path) -> None:
    msi.complete(bundle)

    (path,) = installed(bundle).findall("Component/Environment", msi.NAMESPACES)
    folder = path.attrib["Value"].removeprefix("[INSTALLFOLDER]")
    script = (bundle / "extras" / folder / "deskside.cmd").read_text("utf-8")
    assert ("PATH", "last", "no") == (path.get("Name"), path.get("Part"), path.get("System"))
    # Any value keeps the program's hands off the streams; this one also names what it runs.
    assert "\nset BRIEFCASE_MAIN_MODULE=deskside\n" in script
    assert script.endswith('\n"%~dp0..\\Deskside.exe" %*\nexit /b %ERRORLEVEL%\n')


def test_removing_it_takes_the_name_for_notifications_out_of_the_registry(bundle: Path) -> None:
    msi.complete(bundle)

    (removed,) = installed(bundle).findall("Component/RemoveRegistryKey", msi.NAMESPACES)
    key = {"Root": "HKCU", "Key": r"Software\Classes\AppUserModelId\Deskside", "Action": "removeOnUninstall"}
    assert key == removed.attrib


def test_everything_else_is_as_it_was(bundle: Path) -> None:
    msi.complete(bundle)

    feature = installed(bundle)
    feature.remove(feature[-1])
    text = (bundle / "deskside.wxs").read_text("utf-8")
    assert "<!-- See scope comments below -->" in text
    assert 'xmlns:ui="http://wixtoolset.org/schemas/v4/wxs/ui"' in text
    assert ["ComponentGroupRef"] == [each.tag.rpartition("}")[2] for each in feature]


@pytest.mark.parametrize(
    ("there", "instead"),
    [
        ("schemas/v4/wxs", "schemas/v9/wxs"),
        ("DefaultFeature", "MainFeature"),
        ("DesktopShortcutFeature", "DefaultFeature"),
        ("INSTALLFOLDER", "INSTALLDIR"),
        ("]Deskside.exe", "]deskside.exe"),
        (r".\extras\**", r".\more\**"),
    ],
)
def test_a_template_that_has_changed_ends_the_build(bundle: Path, there: str, instead: str) -> None:
    assert there in SHAPE
    source = bundle / "deskside.wxs"
    source.write_text(SHAPE.replace(there, instead), "utf-8")

    with pytest.raises(SystemExit, match=r"has changed: .* is in deskside\.wxs \d times"):
        msi.complete(bundle)
