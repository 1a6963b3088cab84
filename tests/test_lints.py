"""build/lints.py: each rule finds what it must, and leaves alone what is right."""

from __future__ import annotations

import pytest

from lints import lint_page, lint_python

STORE = "backend/deskside/backend/store/example.py"
SHELL = "shell/deskside/shell/example.py"
REGISTRY = "bridge/deskside/bridge/registry.py"


@pytest.mark.parametrize(
    "query",
    [
        "select(m for m in Message if (m.a if m.b else m.c))",
        "select(m.a if m.b else m.c for m in Message)",
        "orm.count(m for m in Message if 1 < m.size < 9)",
        "sum((n := m.size) for m in Message)",
        "Message.select(lambda m: 1 <= m.size <= 2)",
        "Message.get(lambda m: m.a if m.b else m.c)",
        "messages.filter(lambda m: m.a == (1 if m.b else 2))",
        "messages.order_by(lambda m: m.a if m.b else m.c).first()",
        "select(m for m in Message if exists(p for p in m.parts if 1 < p.n < 2))",
    ],
)
def test_what_pony_misreads_is_found_in_a_query(query: str) -> None:
    source = f"from pony import orm\nfrom pony.orm import exists, select, sum\n\nrows = {query}\n"

    assert [4] == [finding.line for finding in lint_python(source, STORE)]


@pytest.mark.parametrize(
    "source",
    [
        "from pony.orm import select\nrows = select(m for m in Message if 1 < m.size and m.size < 9)",
        "largest = max(a if a > b else b for a, b in pairs)",
        "from pony.orm import select\nkept = [m for m in rows if 1 < m.size < 9]",
        "from pony.orm import select\nn = 1 if small else 2\nrows = select(m for m in Message if m.n == n)",
        "name = settings.get('name') if settings else None",
    ],
)
def test_what_pony_reads_right_and_what_is_no_query_passes(source: str) -> None:
    assert [] == lint_python(source, STORE)


@pytest.mark.parametrize(
    "statement",
    [
        "webview.create_window('x', url, js_api=Api())",
        "self._window.evaluate_js('1')",
        "window.run_js('1')",
        "run = window.run_js",
        "window.expose(f)",
        "self.window.dom.get_element('#a')",
        "main_window.state.x = 1",
    ],
)
def test_pywebviews_own_bridge_is_found(statement: str) -> None:
    assert 1 == len(lint_python(statement, SHELL))


@pytest.mark.parametrize(
    "statement", ["run.state", "self.state = 1", "window.destroy()", "headers.expose('x')"]
)
def test_what_only_sounds_like_pywebviews_bridge_passes(statement: str) -> None:
    assert [] == lint_python(statement, SHELL)


@pytest.mark.parametrize(
    "clause",
    [
        "except:",
        "except Exception:",
        "except (OSError, BaseException) as error:",
        "except builtins.Exception:",
    ],
)
def test_a_broad_except_is_found(clause: str) -> None:
    source = f"def read():\n    try:\n        pass\n    {clause}\n        pass\n"

    assert [4] == [finding.line for finding in lint_python(source, STORE)]


def test_a_narrow_except_passes() -> None:
    source = "try:\n    pass\nexcept (OSError, ValueError):\n    pass\n"

    assert [] == lint_python(source, STORE)


def test_tidying_up_and_raising_again_passes() -> None:
    source = "try: ...\nexcept BaseException:\n    tidy_up()\n    raise\n"

    assert [] == lint_python(source, STORE)


def test_tidying_up_and_perhaps_raising_again_is_found() -> None:
    source = "def read():\n    try: ...\n    except Exception:\n        if tidy: return\n        raise\n"

    assert [3] == [finding.line for finding in lint_python(source, STORE)]


def test_an_edge_may_catch_everything_and_its_neighbour_may_not() -> None:
    method = "    async def _outcome(self):\n        try: ...\n        except Exception: ...\n"
    edge = "class Registry:\n" + method
    neighbour = edge + method.replace("_outcome", "read")

    assert [] == lint_python(edge, REGISTRY)
    assert [7] == [finding.line for finding in lint_python(neighbour, REGISTRY)]


def test_an_edge_that_catches_nothing_leaves_the_list() -> None:
    findings = lint_python("class Registry:\n    async def dispatch(self): ...\n", REGISTRY)

    assert 1 == len(findings)
    assert "take it out of the list" in findings[0].message


@pytest.mark.parametrize(
    "code",
    [
        "element.innerHTML = text;",
        "<div dangerouslySetInnerHTML={{ __html: html }} />",
        "element.insertAdjacentHTML('beforeend', text)",
        'const note = "// no comment"; element.outerHTML = text;',
        "localStorage.setItem('draft', text);",
        "window.sessionStorage.clear()",
    ],
)
def test_html_sinks_and_browser_storage_are_found_in_the_page(code: str) -> None:
    findings = lint_page(f"/* a\n comment */\n{code}\n", "frontend/src/chat/Title.tsx")

    assert [3] == [finding.line for finding in findings]


@pytest.mark.parametrize(
    ("code", "place"),
    [
        ("element.innerHTML = clean;", "frontend/src/markdown/Block.tsx"),
        ("// innerHTML is for the renderer only", "frontend/src/chat/Title.tsx"),
        ("/* localStorage would be lost:\n the port changes */", "frontend/src/chat/Title.tsx"),
        ("element.textContent = text;", "frontend/src/chat/Title.tsx"),
    ],
)
def test_the_renderer_and_comments_pass(code: str, place: str) -> None:
    assert [] == lint_page(code, place)


@pytest.mark.parametrize(
    "code",
    [
        "client = httpx2.AsyncClient()",
        "await asyncio.open_connection(host, port)",
        "socket.create_connection(address)",
        "pool = httpcore2.AsyncConnectionPool(trust)",
        "await anyio.connect_tcp(host, port)",
        "urllib.request.urlopen(url)",
        "primp.Client()",
    ],
)
def test_a_connection_past_the_gate_is_found(code: str) -> None:
    [finding] = lint_python(code, "backend/deskside/backend/agent/anything.py")

    assert "past the gate" in finding.message


@pytest.mark.parametrize(
    "code",
    [
        "await asyncio.open_connection(sock=await line.dial(host, port))",
        "pool = httpcore2.AsyncConnectionPool(trust, network_backend=Sockets(gate))",
        "async with httpx2.AsyncClient(transport=draft) as client: pass",
        "await self._sockets.connect_tcp(host, port)",
    ],
)
def test_a_connection_through_the_gate_passes(code: str) -> None:
    assert [] == lint_python(code, "backend/deskside/backend/agent/anything.py")


def test_children_of_a_python_that_may_not_be_there_are_found() -> None:
    source = "import sys\ncommand = [sys.executable, '-m', 'deskside']"

    assert [2] == [finding.line for finding in lint_python(source, STORE)]
    assert [] == lint_python(source, "backend/deskside/backend/python_children.py")
    assert [] == lint_python(source, "build/example.py")
