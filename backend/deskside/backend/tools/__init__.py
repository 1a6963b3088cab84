"""The tools that come with Deskside: one file each, and this list of them."""

from __future__ import annotations

from deskside.backend.tools.calculate import calculate
from deskside.backend.tools.current_time import current_time
from deskside.backend.tools.declaration import FunctionTool
from deskside.backend.tools.list_folder import list_folder
from deskside.backend.tools.query_database import query_database
from deskside.backend.tools.read_file import read_file
from deskside.backend.tools.recall import recall
from deskside.backend.tools.remember import remember
from deskside.backend.tools.run_python import run_python
from deskside.backend.tools.search_conversations import search_conversations
from deskside.backend.tools.search_files import search_files
from deskside.backend.tools.web_fetch import web_fetch
from deskside.backend.tools.web_search import web_search
from deskside.backend.tools.write_file import write_file

TOOLS: list[FunctionTool] = [
    calculate,
    current_time,
    query_database,
    search_conversations,
    remember,
    recall,
    list_folder,
    read_file,
    search_files,
    write_file,
    run_python,
    web_search,
    web_fetch,
]
