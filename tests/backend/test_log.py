"""The log says what happened and where, and never what was typed, answered, or kept secret."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path

import pytest
from loguru import logger

from deskside.backend.errors import BadKey
from deskside.backend.log import KEPT_FILES, new_request_id, open_log, request_id

KEY = "sk-planted-0123456789"
PROMPT = "my planted prompt about the divorce"


def raise_with_secrets(key: str, prompt: str) -> None:
    unused_local = f"{key} {prompt}"
    try:
        raise KeyError(unused_local)
    except KeyError as cause:
        raise ValueError(f"could not send {prompt} with {key}") from cause


def logged(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def test_every_line_holds_the_request_id_of_the_call_it_belongs_to(tmp_path: Path) -> None:
    with open_log(tmp_path) as path:
        logger.info("before any call")
        token = request_id.set("a1b2c3d4e5f6")
        logger.info("in a call")
        request_id.reset(token)

    assert [" - ", " a1b2c3d4e5f6 "] == [
        next(id for id in (" - ", " a1b2c3d4e5f6 ") if id in line) for line in logged(path).splitlines()
    ]
    assert len(new_request_id()) == 12


def test_an_exception_is_type_and_place_without_its_text_or_its_locals(tmp_path: Path) -> None:
    with open_log(tmp_path) as path:
        try:
            raise_with_secrets(KEY, PROMPT)
        except ValueError:
            logger.opt(exception=True).error("the call failed")

    (line,) = logged(path).splitlines()
    assert "the call failed | ValueError at tests/backend/test_log.py:" in line
    assert " <- KeyError at tests/backend/test_log.py:" in line
    assert KEY not in line
    assert PROMPT not in line


def test_nothing_planted_in_what_other_libraries_log_comes_through(tmp_path: Path) -> None:
    with open_log(tmp_path) as path:
        foreign = logging.getLogger("httpx2")
        foreign.info("request %s", PROMPT)
        foreign.warning("request failed: %s with %s", PROMPT, KEY)
        foreign.warning("two lines\n%s", KEY)
        foreign.warning("a line with a secret behind it\n" + PROMPT)
        try:
            raise_with_secrets(KEY, PROMPT)
        except ValueError:
            logging.getLogger("uvicorn.error").exception("Exception in ASGI application\n")

    text = logged(path)
    assert len(text.splitlines()) == 4
    for words in ("request failed: %s with %s", "two lines", "a line with", "Exception in ASGI application"):
        assert words in text
    assert "ValueError at tests/backend/test_log.py:" in text
    assert KEY not in text
    assert PROMPT not in text


async def test_a_task_whose_exception_nobody_took_leaves_only_its_place(tmp_path: Path) -> None:
    async def fail() -> None:
        raise_with_secrets(KEY, PROMPT)

    with open_log(tmp_path) as path:
        task = asyncio.create_task(fail())
        await asyncio.wait([task])
        asyncio.get_running_loop().call_exception_handler(
            {"message": "Task exception was never retrieved", "exception": task.exception(), "future": task}
        )

    text = logged(path)
    assert "Task exception was never retrieved" in text
    assert "raise_with_secrets" in text
    assert KEY not in text
    assert PROMPT not in text


def test_a_line_break_in_a_message_does_not_forge_a_line(tmp_path: Path) -> None:
    with open_log(tmp_path) as path:
        logger.info("renamed to {}", "x\n2026-11-23T00:00:00.000Z ERROR all is lost")

    assert len(logged(path).splitlines()) == 1


def test_braces_in_a_message_are_only_braces(tmp_path: Path) -> None:
    with open_log(tmp_path) as path:
        logger.info("{}", "{time} <red> {0}")

    assert "{time} <red> {0}" in logged(path)


def test_warnings_go_to_stderr_when_asked_and_nothing_else(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with open_log(tmp_path, to_stderr=True):
        logger.info("a detail")
        logger.warning("trouble: {}", BadKey("no").code)

    shown = capsys.readouterr().err
    assert "trouble: bad_key" in shown
    assert "a detail" not in shown


def test_the_log_is_only_for_its_user(tmp_path: Path) -> None:
    with open_log(tmp_path / "logs") as path:
        logger.info("here")

    assert path.stat().st_mode & 0o077 == 0
    assert path.parent.stat().st_mode & 0o077 == 0


def test_the_log_begins_anew_before_it_is_large_and_keeps_few(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("deskside.backend.log.ROTATION_BYTES", 500)
    with open_log(tmp_path) as path:
        for number in range(100):
            logger.info("line {}", number)

    assert "line 99" in logged(path)
    assert 3 <= len(list(tmp_path.iterdir())) <= KEPT_FILES + 2
