#!/usr/bin/env python3
"""Our own lints: mistakes that ruff does not know and that cost us (or would cost a user) dearly.

    python build/lints.py        exit 1 and one line a finding when there is any

Each rule is a function from a parsed file to findings, listed with the folders it holds for in RULES.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[1]


class Finding(NamedTuple):
    line: int
    message: str


# -- Pony queries ---------------------------------------------------------------------------------

# Pony 0.7.20 decompiles a query's bytecode. A conditional expression in it returns silently wrong rows
# (100 to 120 of 1,000 random queries); a chained comparison and a walrus raise.
MISREAD_BY_PONY = {
    ast.IfExp: "a conditional expression in a Pony query returns wrong rows",
    ast.NamedExpr: "a walrus in a Pony query raises",
}
PONY_METHODS = {"select", "select_random", "exists", "get", "filter", "where", "order_by", "sort_by"}
# Also names of builtins and of other things: a query only when they come from Pony.
PONY_FUNCTIONS = PONY_METHODS | {
    "avg", "count", "delete", "desc", "group_concat", "left_join", "make_proxy", "max", "min", "sum"
}  # fmt: skip


def pony_queries(tree: ast.Module, place: str) -> Iterator[Finding]:
    """No conditional expression, chained comparison or walrus inside a Pony query."""
    from_pony = _names_from_pony(tree)
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and _is_pony_query(node, from_pony):
            for argument in [*node.args, *(keyword.value for keyword in node.keywords)]:
                if isinstance(argument, ast.GeneratorExp | ast.Lambda):
                    yield from _misread(argument)


def _names_from_pony(tree: ast.Module) -> set[str]:
    """Local names bound to Pony's module or functions. A star import binds all of them."""
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "pony":
            names.update(alias.asname or alias.name for alias in node.names)
        if isinstance(node, ast.Import):
            pony = (alias for alias in node.names if alias.name.split(".")[0] == "pony")
            names.update(alias.asname or "pony" for alias in pony)
    return names | PONY_FUNCTIONS if "*" in names else names


def _is_pony_query(call: ast.Call, from_pony: set[str]) -> bool:
    if isinstance(call.func, ast.Name):
        return call.func.id in from_pony
    if not isinstance(call.func, ast.Attribute):
        return False
    owner = call.func.value
    if isinstance(owner, ast.Name) and owner.id in from_pony:
        return call.func.attr in PONY_FUNCTIONS
    return call.func.attr in PONY_METHODS


def _misread(query: ast.AST) -> Iterator[Finding]:
    for node in ast.walk(query):
        if type(node) in MISREAD_BY_PONY and isinstance(node, ast.expr):
            yield Finding(node.lineno, MISREAD_BY_PONY[type(node)])
        if isinstance(node, ast.Compare) and len(node.ops) > 1:
            yield Finding(node.lineno, "a chained comparison in a Pony query raises")


# -- pywebview's own bridge -----------------------------------------------------------------------

# They need `unsafe-eval`, are handed to any page the window shows, and can hang for ever.
BANNED_NAMES = {"js_api", "evaluate_js", "run_js"}
BANNED_OF_A_WINDOW = {"expose", "dom", "state"}


def pywebview_bridge(tree: ast.Module, place: str) -> Iterator[Finding]:
    """None of pywebview's ways between page and Python: only the one bridge, on its WebSocket."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and (
            node.attr in BANNED_NAMES or (node.attr in BANNED_OF_A_WINDOW and _is_window(node.value))
        ):
            yield Finding(node.lineno, f"pywebview's {node.attr!r} is not used: the page has one bridge")
        if isinstance(node, ast.keyword) and node.arg in BANNED_NAMES:
            yield Finding(node.value.lineno, f"pywebview's {node.arg!r} is not used: the page has one bridge")


def _is_window(node: ast.expr) -> bool:
    name = node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else ""
    return name.lower().endswith("window")


# -- broad excepts --------------------------------------------------------------------------------

# The four edges: a command, a run's task, a tool call, and the window with the command line. Below one of
# them a bug becomes a sentence for the user (or data for the model) and a traceback in the log, instead
# of the end of the program. Everywhere else exceptions pass through. `file::definition`.
EDGES = {
    "shell/deskside/shell/cli.py::main",
    "bridge/deskside/bridge/registry.py::Registry._outcome",
    "backend/deskside/backend/agent/runs.py::Runs._store_end",
    "backend/deskside/backend/agent/tool_calls.py::ToolCalls._result",
    "backend/deskside/backend/agent/tool_calls.py::preview_of",
    # The window's boundary on Windows: above is .NET.
    "shell/deskside/shell/hardening_webview2.py::harden.ready",
    "shell/deskside/shell/winforms.py::soon.run",
}
# A thread cannot raise into another: these hand the exception itself to who waits for the result.
HANDED_OVER = {
    "bridge/deskside/bridge/thread.py::run_backend.run",
    "backend/deskside/backend/store/threads.py::attempt",
    "backend/deskside/backend/store/threads.py::attempt_read",
    "backend/deskside/backend/store/threads.py::Writer._run",
    "backend/deskside/backend/store/threads.py::Writer._run_alone",
    "backend/deskside/backend/store/threads.py::Writer._commit",
    "shell/deskside/shell/desktop.py::in_thread.run",
    "shell/deskside/shell/window.py::AppWindow._harden",
    "shell/deskside/shell/window.py::AppWindow._load",
    "shell/deskside/shell/window.py::Opening._run",
}
BROAD = {"Exception", "BaseException"}


def broad_excepts(tree: ast.Module, place: str) -> Iterator[Finding]:
    """A broad except only at the four edges, between threads, or to tidy up and raise again."""
    for name, line in _broad_handlers(tree):
        if f"{place}::{name}" not in EDGES | HANDED_OVER:
            yield Finding(line, f"a broad except in {name or 'the module'}, which is not one of the EDGES")


def missing_edges(tree: ast.Module, place: str) -> Iterator[Finding]:
    """An edge that catches nothing any more leaves the list."""
    caught = {f"{place}::{name}" for name, _ in _broad_handlers(tree)}
    for edge in sorted((EDGES | HANDED_OVER) - caught):
        if edge.split("::")[0] == place:
            yield Finding(1, f"{edge} has no broad except: take it out of the list")


def _broad_handlers(node: ast.AST, inside: str = "") -> Iterator[tuple[str, int]]:
    """The dotted name of the definition around each handler that catches everything and keeps it."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.ExceptHandler) and _is_broad(child.type) and not _raises_again(child):
            yield inside, child.lineno
        name = inside
        if isinstance(child, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            name = f"{inside}.{child.name}".removeprefix(".")
        yield from _broad_handlers(child, name)


def _raises_again(handler: ast.ExceptHandler) -> bool:
    """Whether it ends in a bare `raise` that nothing before it can go around."""
    last = handler.body[-1]
    leaves = (ast.Return, ast.Break, ast.Continue)
    return (
        isinstance(last, ast.Raise)
        and last.exc is None
        and not any(isinstance(node, leaves) for statement in handler.body for node in ast.walk(statement))
    )


def _is_broad(caught: ast.expr | None) -> bool:
    if caught is None:
        return True
    if isinstance(caught, ast.Tuple):
        return any(_is_broad(part) for part in caught.elts)
    name = caught.attr if isinstance(caught, ast.Attribute) else getattr(caught, "id", "")
    return name in BROAD


# -- the page -------------------------------------------------------------------------------------

# Strings are matched first, so that a comment's opening inside one does not count.
TEXT_OR_COMMENT = re.compile(
    r"""("(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'|`(?:\\.|[^`\\])*`)|//[^\n]*|/\*.*?\*/""", re.DOTALL
)
HTML_SINK = re.compile(r"\b(?:dangerouslySetInnerHTML|insertAdjacentHTML|(?:inner|outer)HTML|srcdoc)\b")
BROWSER_STORAGE = re.compile(r"\b(?:localStorage|sessionStorage|indexedDB)\b")
# The one renderer: it sanitises once, last.
RENDERER = "frontend/src/markdown/"


def html_sinks(source: str, place: str) -> Iterator[Finding]:
    """Text becomes HTML in the one renderer only."""
    if not place.startswith(RENDERER):
        yield from _matches(HTML_SINK, source, "makes HTML outside frontend/src/markdown")


def browser_storage(source: str, place: str) -> Iterator[Finding]:
    """The page keeps nothing: its port, and so its origin, changes at each launch."""
    yield from _matches(BROWSER_STORAGE, source, "is not used: what the user has is kept by Python")


def _matches(pattern: re.Pattern[str], source: str, message: str) -> Iterator[Finding]:
    code = TEXT_OR_COMMENT.sub(lambda found: found[1] or "\n" * found[0].count("\n"), source)
    for number, line in enumerate(code.split("\n"), 1):
        for found in pattern.finditer(line):
            yield Finding(number, f"{found[0]} {message}")


# -- connections ----------------------------------------------------------------------------------

# The gate's own modules, and what belongs to the control of one's own program on loopback: the listening
# server, and the terminal's session with it.
CONNECTING = (
    "backend/deskside/backend/network/",
    "shell/deskside/shell/client.py",
    "shell/deskside/shell/instance.py",
)
CONNECTS = {"open_connection", "create_connection", "sock_connect", "urlopen", "connect_ex"}
CLIENTS = {
    "AsyncClient", "Client", "AsyncHTTPTransport", "AsyncConnectionPool", "AsyncHTTPProxy", "AnyIOBackend",
    "AutoBackend", "ClientSession", "connect_tcp", "get", "post", "request", "stream",
}  # fmt: skip
LIBRARIES = {"httpx2", "httpcore2", "httpx", "aiohttp", "requests", "primp", "anyio"}


def bypassed_gate(tree: ast.Module, place: str) -> Iterator[Finding]:
    """Connections are made by the gate (backend/network), or handed a socket or a backend of it."""
    if place.startswith(CONNECTING):
        return
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
            continue
        given = {keyword.arg for keyword in node.keywords}
        owner = node.func.value.id if isinstance(node.func.value, ast.Name) else ""
        makes_client = owner in LIBRARIES and node.func.attr in CLIENTS
        connects = node.func.attr in CONNECTS or (node.func.attr == "connect" and owner == "socket")
        if (makes_client or connects) and not given & {"sock", "network_backend", "transport"}:
            yield Finding(node.lineno, f"{node.func.attr} makes a connection past the gate (backend/network)")


# -- children in Python ---------------------------------------------------------------------------

# The one that makes command lines, and the one that starts this program itself again.
KNOW_THE_PYTHON = ("backend/deskside/backend/python_children.py", "shell/deskside/shell/running.py")


def own_python(tree: ast.Module, place: str) -> Iterator[Finding]:
    """`sys.executable` is no Python in a program that Briefcase makes: children come from python_child."""
    if place in KNOW_THE_PYTHON:
        return
    for node in ast.walk(tree):
        if (
            isinstance(node, ast.Attribute)
            and node.attr == "executable"
            and getattr(node.value, "id", "") == "sys"
        ):
            yield Finding(node.lineno, "sys.executable may be Deskside itself: use python_child")


# -- running them ---------------------------------------------------------------------------------

PRODUCT = ("shell", "bridge", "backend")
PYTHON_RULES: dict[Callable[[ast.Module, str], Iterator[Finding]], tuple[str, ...]] = {
    pony_queries: (*PRODUCT, "tests"),
    pywebview_bridge: PRODUCT,
    broad_excepts: (*PRODUCT, "build"),
    missing_edges: PRODUCT,
    bypassed_gate: PRODUCT,
    own_python: PRODUCT,
}
PAGE_RULES: list[Callable[[str, str], Iterator[Finding]]] = [html_sinks, browser_storage]


def lint_python(source: str, place: str) -> list[Finding]:
    """Findings in one Python file; `place` is its path from the repository's root, with slashes."""
    tree = ast.parse(source, place)
    top = place.split("/")[0]
    found = (finding for rule, tops in PYTHON_RULES.items() if top in tops for finding in rule(tree, place))
    # Once each: a query inside a query is looked at twice.
    return list(dict.fromkeys(found))


def lint_page(source: str, place: str) -> list[Finding]:
    """Findings in one TypeScript file of the page."""
    return [finding for rule in PAGE_RULES for finding in rule(source, place)]


def main() -> int:
    findings: list[str] = []
    for top in (*PRODUCT, "build", "tests"):
        for path in sorted((ROOT / top).rglob("*.py")):
            findings += _report(path, lint_python)
    for path in sorted((ROOT / "frontend" / "src").rglob("*.ts*")):
        # Tests read what was rendered.
        if ".test." not in path.name:
            findings += _report(path, lint_page)
    print("\n".join(findings), end="\n" if findings else "")
    return 1 if findings else 0


def _report(path: Path, lint: Callable[[str, str], list[Finding]]) -> list[str]:
    place = path.relative_to(ROOT).as_posix()
    return [f"{place}:{line}: {message}" for line, message in lint(path.read_text("utf-8"), place)]


if __name__ == "__main__":
    sys.exit(main())
