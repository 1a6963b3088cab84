"""The sandbox: right results, every limit, and a list of hostile programs that reach nothing."""

from __future__ import annotations

import asyncio
import json
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import psutil
import pytest

from deskside.backend.tools.sandbox import (
    CUT_MARK,
    FUNCTION_LIMIT,
    PRINT_LIMIT,
    RESULT_LIMIT,
    CodeFailed,
    Grants,
    Sandbox,
    keep_last,
)
from stores import run_child

# Long enough for a machine that is busy, short enough for a list of endless loops.
RUN_LIMIT_S = 0.5


@pytest.fixture
async def sandbox() -> AsyncIterator[Sandbox]:
    made = Sandbox(workers=2, run_limit_s=RUN_LIMIT_S)
    yield made
    await made.close()


def workers() -> list[psutil.Process]:
    """Those that live; one that was killed stays in the list of processes until the pool looks for it."""
    return [
        child
        for child in psutil.Process().children()
        if "monty" in child.name() and child.status() != psutil.STATUS_ZOMBIE
    ]


async def until_workers(count: int) -> None:
    async with asyncio.timeout(10):
        while len(workers()) != count:
            await asyncio.sleep(0.01)


# -- results ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("code", "result", "printed"),
    [
        ("1 + 1", "2", ""),
        ("x = 20\nx + 1  # half", "21", ""),
        ("x = 1", "null", ""),
        ("print('hi')", "null", "hi\n"),
        ("print(1)\n{'a': [1, None, True]}", '{"a": [1, null, true]}', "1\n"),
        ("name = 'é'; f'{name} 日本'", '"é 日本"', ""),
        ("(\n  1 +\n  2\n);", "3", ""),
        ("x = [1,\n 2]; sum(x)", "3", ""),
        ("{3}", '"{3}"', ""),
        ("float('nan')", '"nan"', ""),
        ("def f(n):\n    return n if n < 2 else f(n - 1) + f(n - 2)\nf(15)", "610", ""),
        ("import math, json, re\nround(math.pi, 2)", "3.14", ""),
        ("", "null", ""),
        ("# nothing", "null", ""),
        ("2 ** 200", str(2**200), ""),
    ],
)
async def test_the_value_of_the_last_expression_comes_back_as_json(
    sandbox: Sandbox, code: str, result: str, printed: str
) -> None:
    outcome = await sandbox.evaluate(code)

    assert (result, printed) == (outcome.json, outcome.printed)


async def test_a_function_is_called_with_arguments_by_name(sandbox: Sandbox) -> None:
    source = (
        "def _double(n): return 2 * n\ndef run(items, more=1): return [_double(n) for n in items] + [more]\n"
    )

    outcome = await sandbox.call(source, "run", {"items": [1, 2.5]})

    assert [2, 5.0, 1] == json.loads(outcome.json)


async def test_nothing_is_kept_from_one_call_to_the_next(sandbox: Sandbox) -> None:
    await sandbox.evaluate("secret = 1")

    with pytest.raises(CodeFailed, match="name 'secret' is not defined"):
        await sandbox.evaluate("secret")


@pytest.mark.parametrize(
    ("code", "line", "message"),
    [
        ("x = 1\n\n1 / 0", 3, "ZeroDivisionError: division by zero"),
        ("def f():\n    return [][1]\n\nf()", 2, "IndexError: list index out of range"),
        ("x = 1\ny = = 2", 2, "Expected an expression"),
        ("class A(dict):\n    pass", 1, "The sandbox does not support class inheritance and metaclasses"),
        ("raise ValueError('no plums')", 1, "ValueError: no plums"),
    ],
)
async def test_what_goes_wrong_says_why_and_in_which_line(
    sandbox: Sandbox, code: str, line: int, message: str
) -> None:
    with pytest.raises(CodeFailed) as failed:
        await sandbox.evaluate(code)

    assert (line, message) == (failed.value.line, failed.value.message)
    assert f"line {line}: {message}" == str(failed.value)


async def test_a_failure_keeps_what_was_printed_before_it(sandbox: Sandbox) -> None:
    with pytest.raises(CodeFailed) as failed:
        await sandbox.evaluate("print('so far')\n1 / 0")

    assert "so far\n" == failed.value.printed
    assert "so far" in str(failed.value)


@pytest.mark.parametrize("value", ["{1, 2}", "b'a'", "float('inf')", "print", "lambda: 1"])
async def test_a_tool_that_returns_what_json_does_not_know_is_told_so(sandbox: Sandbox, value: str) -> None:
    with pytest.raises(CodeFailed, match="JSON"):
        await sandbox.call(f"def run(): return {value}", "run", {})


# -- limits -------------------------------------------------------------------------------------


async def test_prints_are_cut_and_say_so(sandbox: Sandbox) -> None:
    outcome = await sandbox.evaluate(f"print('x' * {PRINT_LIMIT + 1})\n1")

    assert "x" * PRINT_LIMIT + CUT_MARK == outcome.printed


async def test_a_result_that_is_too_long_is_refused(sandbox: Sandbox) -> None:
    with pytest.raises(CodeFailed, match="200,000 characters"):
        await sandbox.evaluate(f"'x' * {RESULT_LIMIT}")


async def test_endless_loops_cost_nobody_else_anything(sandbox: Sandbox) -> None:
    endless = asyncio.create_task(sandbox.evaluate("while True: pass"))

    outcomes = [await sandbox.evaluate(f"{n} + 1") for n in range(20)]

    assert [str(n + 1) for n in range(20)] == [outcome.json for outcome in outcomes]
    assert not endless.done()
    with pytest.raises(CodeFailed, match=r"more than 0\.5 s"):
        await endless


async def test_calls_beyond_the_workers_wait_their_turn(sandbox: Sandbox) -> None:
    outcomes = await asyncio.gather(*(sandbox.evaluate(f"sum(range({n}))") for n in range(50)))

    assert [str(sum(range(n))) for n in range(50)] == [outcome.json for outcome in outcomes]
    assert len(workers()) <= 2


async def test_a_cancelled_call_takes_its_worker_with_it(sandbox: Sandbox) -> None:
    running = asyncio.create_task(sandbox.evaluate("while True: pass"))
    await until_workers(1)

    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running

    await until_workers(0)
    assert "2" == (await sandbox.evaluate("1 + 1")).json


async def test_a_worker_that_dies_costs_its_own_call_only(sandbox: Sandbox) -> None:
    running = asyncio.create_task(sandbox.evaluate("while True: pass"))
    await until_workers(1)

    workers()[0].send_signal(signal.SIGKILL)

    with pytest.raises(CodeFailed, match="broke down"):
        await running
    assert "2" == (await sandbox.evaluate("1 + 1")).json


async def test_workers_start_with_the_first_call_and_end_when_nobody_calls() -> None:
    sandbox = Sandbox(idle_s=0.05)
    assert [] == workers()
    await sandbox.evaluate("1")
    assert 1 == len(workers())

    await until_workers(0)

    assert "2" == (await sandbox.evaluate("1 + 1")).json
    await sandbox.close()
    assert [] == workers()


async def test_a_worker_has_no_environment(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-planted")
    await sandbox.evaluate("1")

    assert {} == workers()[0].environ()


# -- what is granted ----------------------------------------------------------------------------


async def test_code_may_call_what_it_was_given_and_only_that(sandbox: Sandbox) -> None:
    async def shout(text: str) -> str:
        await asyncio.sleep(0)
        return text.upper()

    grants = Grants({"shout": shout})
    outcome = await sandbox.evaluate(
        "say = shout\n[say(word) for word in ['a', 'b']] + [shout(text='c')]", grants
    )

    assert '["A", "B", "C"]' == outcome.json
    with pytest.raises(CodeFailed, match="NameError: name 'shout' is not defined"):
        await sandbox.evaluate("shout('a')")
    with pytest.raises(CodeFailed, match=r"TypeError: shout\(\) takes one text"):
        await sandbox.evaluate("shout(['a'])", grants)


async def test_code_can_handle_what_a_function_refuses(sandbox: Sandbox) -> None:
    async def read_text(path: str) -> str:
        raise PermissionError(f"{path} is in no folder that was granted")

    code = "try:\n    read_text('/etc/passwd')\nexcept PermissionError as error:\n    said = str(error)\nsaid"
    outcome = await sandbox.evaluate(code, Grants({"read_text": read_text}))

    assert '"/etc/passwd is in no folder that was granted"' == outcome.json


async def test_only_code_that_was_given_the_clock_knows_the_time(sandbox: Sandbox) -> None:
    code = "import datetime\ndatetime.datetime.now().year"

    with pytest.raises(CodeFailed, match="may not look at the clock"):
        await sandbox.evaluate(code)

    assert int((await sandbox.evaluate(code, Grants(has_clock=True))).json) >= 2025


# -- hostile programs ---------------------------------------------------------------------------

# What is tried, and what the caller is told. The ways are those of HackTricks' "Bypass Python sandboxes"; of
# pyjail write-ups (subclasses, format strings, decorators instead of calls, frames of generators, letters
# that normalise to others); of Jessica McKellar's "Building and breaking a Python sandbox" (PyCon 2014); of
# RestrictedPython's CVE-2023-37271 (frames of generators) and CVE-2025-22153 (except*); of langchain's
# CVE-2023-36258 (`__import__` in code that a model wrote); of OWASP's "Regular expression denial of service";
# and of CPython's own collection of ways to crash it (Lib/test/crashers).
REFUSED = (
    "(Name|Attribute|ModuleNotFound|Import|Permission|Type|NotImplemented)Error: |not support|Invalid Syntax"
)
BOUNDED = "memory|more than|too deeply|recursion depth|[Ll]imit|longer than"
HOSTILE = [
    # into the interpreter, through classes and frames
    ("().__class__.__bases__[0].__subclasses__()", REFUSED),
    ("''.__class__.__mro__[1].__subclasses__()[104].load_module('os')", REFUSED),
    ("type(1).__subclasses__(type)", REFUSED),
    ("object.__subclasses__()", REFUSED),
    ("getattr(1, '__cl' + 'ass__')", REFUSED),
    ("'{0.__class__.__init__.__globals__}'.format(1)", REFUSED),
    ("f'{print.__self__}'", REFUSED),
    ("(lambda: 0).__code__.replace(co_code=b'')", REFUSED),
    ("(lambda: 0).__globals__['__builtins__']", REFUSED),
    ("print.__self__.eval('1')", REFUSED),
    (
        "try:\n    1 / 0\nexcept Exception as error:\n    error.__traceback__.tb_frame.f_back.f_globals",
        REFUSED,
    ),
    ("(x for x in [1]).gi_frame.f_back.f_builtins", REFUSED),
    ("def g():\n    yield g.gi_frame.f_back\nlist(g())", REFUSED),
    ("async def c(): pass\nc().cr_frame.f_globals", REFUSED),
    ("import sys\nsys._getframe().f_globals", REFUSED),
    ("import sys\nsys.modules['os'].system('id')", REFUSED),
    ("globals()['__builtins__']['eval']('1')", REFUSED),
    ("__builtins__.__dict__['__import__']('os')", REFUSED),
    ("__import__('os').system('id')", REFUSED),
    ("__loader__.load_module('os')", REFUSED),
    ("help.__call__()", REFUSED),
    ("breakpoint()", REFUSED),
    ("compile('1', 'x', 'eval')", REFUSED),
    ("class Out(type):\n    def __getattr__(cls, name): return name", REFUSED),
    ("@exec\n@input\nclass A: pass", REFUSED),
    ("try:\n    raise ExceptionGroup('', [])\nexcept* ValueError:\n    pass", REFUSED),
    ("eval(\"__import__('os')\")", REFUSED),
    ("exec('import subprocess')", REFUSED),
    ("𝒆𝒙𝒆𝒄('import ctypes')", REFUSED),
    # out of it, with modules
    ("import ctypes\nctypes.string_at(0)", REFUSED),
    ("import pickle\npickle.loads(b\"cos\\nsystem\\n(S'id'\\ntR.\")", REFUSED),
    ("import marshal, types", REFUSED),
    ("import gc\ngc.get_objects()", REFUSED),
    ("import inspect", REFUSED),
    ("import importlib", REFUSED),
    ("import builtins", REFUSED),
    ("import subprocess\nsubprocess.run(['id'])", REFUSED),
    ("import os\nos.system('id')", REFUSED),
    ("import os\nos.popen('id')", REFUSED),
    ("import os\nos.fork()", REFUSED),
    ("import os\nwhile True: os.fork()", REFUSED),
    ("import os\nos.kill(1, 9)", REFUSED),
    ("import os\nos.execv('/bin/sh', ['sh'])", REFUSED),
    ("import multiprocessing", REFUSED),
    ("import threading", REFUSED),
    ("import signal", REFUSED),
    ("import asyncio\nasyncio.run(asyncio.create_subprocess_shell('id'))", REFUSED),
    # files, environment, network
    ("open('/etc/passwd').read()", REFUSED),
    ("open('/proc/self/environ').read()", REFUSED),
    ("open('planted', 'w').write('x')", REFUSED),
    ("open(0).read()", REFUSED),
    ("from pathlib import Path\nPath('/etc/passwd').read_text()", REFUSED),
    ("from pathlib import Path\nPath('/').iterdir()", REFUSED),
    ("from pathlib import Path\nPath('planted').write_text('x')", REFUSED),
    ("import os\nos.listdir('/')", REFUSED),
    ("import os\nos.environ['HOME']", REFUSED),
    ("import os\nos.getenv('OPENAI_API_KEY')", REFUSED),
    ("import os\nos.remove('planted')", REFUSED),
    ("import socket\nsocket.create_connection(('127.0.0.1', 80))", REFUSED),
    ("import urllib.request\nurllib.request.urlopen('http://127.0.0.1/')", REFUSED),
    ("import http.client", REFUSED),
    ("import asyncio\nasyncio.run(asyncio.open_connection('127.0.0.1', 80))", REFUSED),
    ("input()", REFUSED),
    ("import sys\nsys.stdin.read()", REFUSED),
    ("import sys\nsys.stdout.buffer.write(b'x')", REFUSED),
    # for ever
    ("while True: pass", BOUNDED),
    ("while True:\n    try:\n        while True: pass\n    except BaseException: pass", BOUNDED),
    ("for _ in iter(int, 1): pass", BOUNDED),
    ("sum(range(10 ** 12))", BOUNDED),
    ("import itertools\nsum(1 for _ in itertools.count())", BOUNDED),
    ("def f(n): return f(n + 1)\nf(0)", BOUNDED),
    ("def f():\n    try:\n        f()\n    finally:\n        f()\nf()", BOUNDED),
    ("f = lambda g: g(g)\nf(f)", BOUNDED),
    ("class A:\n    def __repr__(self): return repr(self)\nrepr(A())", BOUNDED),
    ("class A:\n    def __eq__(self, other): return self == other\nA() == 1", BOUNDED),
    ("7 ** 7 ** 8", BOUNDED),
    ("9 ** 9 ** 9", BOUNDED),
    ("import math\nmath.factorial(10 ** 8)", BOUNDED),
    ("pow(3, 10 ** 7, 10 ** 200000)", BOUNDED),
    ("import re\nre.match(r'(.*)\\1(.*)\\2(.*)\\3x', 'a' * 5000)", BOUNDED),
    ("import re\nre.compile('(' * 100000)", BOUNDED),
    ("while True: print('x' * 100)", BOUNDED),
    ("sorted(range(10 ** 7), key=lambda x: sum(range(x)))", BOUNDED),
    # too much
    ("'a' * 10 ** 10", BOUNDED),
    ("[0] * 10 ** 10", BOUNDED),
    ("bytes(10 ** 10)", BOUNDED),
    ("list(range(10 ** 12))", BOUNDED),
    ("x = 'a'\nwhile True: x += x", BOUNDED),
    ("x = []\nwhile True: x = [x, x, 'a' * 1000]", BOUNDED),
    ("x = {}\nfor n in range(10 ** 9): x[n] = n", BOUNDED),
    ("'%1000000000d' % 1", BOUNDED),
    ("f'{1:1000000000}'", BOUNDED),
    ("'a'.ljust(10 ** 10)", BOUNDED),
    ("'a'.replace('a', 'a' * 10 ** 6).replace('a', 'a' * 10 ** 6)", BOUNDED),
    ("2 ** 10 ** 9", BOUNDED),
    ("1 << 10 ** 10", BOUNDED),
    ("''.join(str(n) for n in range(10 ** 9))", BOUNDED),
    # results that are bombs
    ("a = [0] * 1000\nb = [a] * 1000\nc = [b] * 1000\nc", BOUNDED),
    ("a = 'x' * 10 ** 7\n[a] * 100", BOUNDED),
    ("str(10 ** 5000)", BOUNDED),
    ("raise ValueError('x' * 10 ** 7)", "ValueError: x"),
    # source that is a bomb
    ("(" * 50_000, BOUNDED + "|closed"),
    ("-" * 50_000 + "1", BOUNDED),
    ("[" * 5_000 + "]" * 5_000, BOUNDED),
    ("a" + ".b" * 40_000, BOUNDED),
    ("1" + "+1" * 40_000, BOUNDED),
    ("lambda:" * 10_000 + "1", BOUNDED),
    ("1 if 1 else " * 8_000 + "1", BOUNDED),
    ("x = 1\n" * 20_000, BOUNDED + "|longer"),
    ("x" * 200_000, "longer than"),
    ("\x00", "."),
    # the program's own functions
    (f"for _ in range({FUNCTION_LIMIT + 1}): echo('x')", BOUNDED),
    ("echo('a', 'b')", REFUSED),
    ("echo()", REFUSED),
    ("a = [0] * 1000\nb = [a] * 1000\necho([b] * 1000)", REFUSED),
    ("echo.__globals__", REFUSED),
    ("echo.__closure__", REFUSED),
    ("list(map(echo, ['a']))", REFUSED),
    ("await echo('a')", REFUSED),
    ("__arguments['x'].__class__", REFUSED),
    ("raise KeyboardInterrupt", "KeyboardInterrupt"),
    ("raise SystemExit(3)", "."),
    ("exit()", REFUSED),
]


@pytest.mark.parametrize(("code", "told"), HOSTILE, ids=[code[:40] for code, _ in HOSTILE])
async def test_a_hostile_program_reaches_nothing_and_the_next_call_works(
    sandbox: Sandbox, code: str, told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    before = sorted(tmp_path.rglob("*"))

    async def echo(text: str) -> str:
        return text

    async with asyncio.timeout(10):
        with pytest.raises(CodeFailed, match=told) as failed:
            await sandbox.evaluate(code, Grants({"echo": echo}))

    assert len(failed.value.message) < 3_000
    assert "2" == (await sandbox.evaluate("1 + 1")).json
    assert before == sorted(tmp_path.rglob("*"))
    assert len(workers()) <= 2


# Not refused, because there is nothing to refuse: they come to a harmless end.
HARMLESS = [
    ("import time\ntime.sleep(3600)\n1", "1"),
    ("import asyncio\nasyncio.run(asyncio.sleep(3600))\n1", "1"),
    ("import re\nre.match(r'(a+)+$', 'a' * 40 + 'b')", "null"),
    ("from json import dumps as __dumps\n__result = 5\n7", "7"),
    ("def __dumps(value): return 'not mine'\n8", "8"),
    ("def repr(value): return 'not mine'\nstr = list = len = None\n9", "9"),
    ("x = []\nx.append(x)\nlen(x)", "1"),
    ("type('A', (), {})()\n1", "1"),
    ("import os\nos.getcwd()", '"/"'),
]


@pytest.mark.parametrize(("code", "result"), HARMLESS)
async def test_what_only_looks_hostile_comes_to_an_end(sandbox: Sandbox, code: str, result: str) -> None:
    async with asyncio.timeout(5):
        outcome = await sandbox.evaluate(code)

    assert result == outcome.json


@pytest.mark.parametrize(
    ("code", "kept"),
    [
        ("x = 1; x", "x = 1; __result = (x)"),
        ("é = 1\né", "é = 1\n__result = (é)"),
        ("f(\n 1)  # one", "__result = (f(\n 1))  # one"),
        ("x = 1", None),
        ("", None),
        ("x = (", None),
        ("(" * 100_000, None),
    ],
)
def test_the_last_value_is_kept_without_moving_a_line(code: str, kept: str | None) -> None:
    assert kept == keep_last(code)


def test_a_process_that_used_the_sandbox_ends_well() -> None:
    code = (
        "import asyncio\nfrom deskside.backend.tools.sandbox import Sandbox\n"
        "async def main():\n    sandbox = Sandbox()\n    await sandbox.evaluate('1')\n"
        "    await sandbox.close()\n"
        "asyncio.run(main())"
    )

    assert [0] * 3 == [run_child(code).returncode for _ in range(3)]
