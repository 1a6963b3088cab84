"""The tools that come with Deskside: one file each, and this list of them."""

from __future__ import annotations

from deskside.backend.tools.calculate import calculate
from deskside.backend.tools.declaration import FunctionTool
from deskside.backend.tools.run_python import run_python
from deskside.backend.tools.web_fetch import web_fetch
from deskside.backend.tools.web_search import web_search

TOOLS: list[FunctionTool] = [calculate, run_python, web_fetch, web_search]
