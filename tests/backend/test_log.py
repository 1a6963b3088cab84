"""The log says what happened and where, and never what was typed, answered, or kept secret."""

from __future__ import annotations

import asyncio
import base64
import json
import logging
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from loguru import logger

from deskside.backend import redaction
from deskside.backend.errors import BadKey
from deskside.backend.log import KEPT_FILES, new_request_id, open_log, request_id
from deskside.backend.redaction import REMOVED, Redactor

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


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in logged(path).splitlines()]


def test_every_line_holds_the_request_id_of_the_call_it_belongs_to(tmp_path: Path) -> None:
    with open_log(tmp_path) as path:
        logger.info("before any call")
        token = request_id.set("a1b2c3d4e5f6")
        logger.info("in a call")
        request_id.reset(token)

    assert ["-", "a1b2c3d4e5f6"] == [line["request_id"] for line in lines(path)]
    assert len(new_request_id()) == 12


def test_an_exception_is_type_and_place_without_its_text_or_its_locals(tmp_path: Path) -> None:
    with open_log(tmp_path) as path:
        try:
            raise_with_secrets(KEY, PROMPT)
        except ValueError:
            logger.opt(exception=True).error("the call failed")

    (line,) = lines(path)
    assert "the call failed" == line["message"]
    assert line["error"].startswith("ValueError at tests/backend/test_log.py:")
    assert " <- KeyError at tests/backend/test_log.py:" in line["error"]
    assert KEY not in logged(path)
    assert PROMPT not in logged(path)


def test_debug_adds_what_exceptions_and_libraries_say_and_still_no_key(tmp_path: Path) -> None:
    with open_log(tmp_path, "DEBUG") as path:
        try:
            raise_with_secrets(KEY, PROMPT)
        except ValueError:
            logger.opt(exception=True).error("the call failed")
        logging.getLogger("httpx2").warning("request failed: %s with %s", PROMPT, KEY)

    ours, foreign = lines(path)
    assert f"could not send {PROMPT} with [key removed]" in ours["error"]
    assert f"request failed: {PROMPT} with [key removed]" in foreign["message"]
    assert KEY not in logged(path)


def test_what_went_wrong_is_in_a_file_of_its_own_too(tmp_path: Path) -> None:
    with open_log(tmp_path) as path:
        logger.warning("trouble")
        logger.error("a fault")

    assert ["trouble", "a fault"] == [line["message"] for line in lines(path)]
    assert ["a fault"] == [line["message"] for line in lines(tmp_path / "error.log")]


def test_a_live_key_is_removed_whatever_it_looks_like_and_however_it_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = 'p"w/d with+50% ünusual signs'
    monkeypatch.setattr(redaction, "PROCESS", Redactor())
    redaction.PROCESS.learn(key, "a key")
    basic = base64.b64encode(f"user:{key}".encode()).decode()
    with open_log(tmp_path) as path:
        logger.warning("{}", key)
        logger.warning("http://h/?k={}", quote(key, safe=""))
        logger.warning("{}", json.dumps({"k": key}))
        logger.warning("told {} in base64", basic)

    assert 4 == len(lines(path))
    for line in lines(path):
        assert "[key removed]" in line["message"]
    for written in (key, quote(key, safe=""), json.dumps(key)[1:-1], basic):
        assert written not in logged(path)
        assert written not in "".join(line["message"] for line in lines(path))


@pytest.mark.parametrize(
    "said",
    [
        "sk-proj-abcDEF0123456789",
        "Authorization: Bearer abcdef.ghijkl-mnopq",
        "http://me:hunter2hunter@host/",
        "https://host/v1?api_key=0123456789abcdef&x=1",
        '{"client_secret": "0123456789abcdef"}',
        "eyJhbGciOiJIUzI1.eyJzdWIiOiIxMjM0.c2lnbmF0dXJl",
        "ghp_0123456789abcdefABCDEF",
    ],
)
def test_what_looks_like_a_key_is_removed_also_where_nobody_knows_it(tmp_path: Path, said: str) -> None:
    with open_log(tmp_path) as path:
        logger.warning("before {} after", said)

    (line,) = lines(path)
    assert "[key removed]" in line["message"]
    assert line["message"].startswith("before ")
    assert line["message"].endswith(" after")


def test_tokens_that_were_renewed_often_are_forgotten_and_what_stays_is_not() -> None:
    redactor = Redactor()
    redactor.learn("key-of-another-server", "another")
    for n in range(1000):
        redactor.learn(f"access-token-{n:04}", "server")
        redactor.learn("refresh-token-that-stays", "server")

    said = redactor.redact(
        "access-token-0999 refresh-token-that-stays key-of-another-server access-token-0000"
    )

    assert f"{REMOVED} {REMOVED} {REMOVED} access-token-0000" == said
    assert len(redactor.known) < 50


def test_a_value_is_removed_also_where_its_name_looks_like_a_key() -> None:
    said = Redactor().redact("HF_SPACE2_API_KEY=0123456789abcdef hf_space2_x")

    assert "0123456789abcdef" not in said
    assert said.endswith("hf_space2_x")


@pytest.mark.parametrize(
    "said", ["ask-whether-it-is-so-or-not", "risk-free0123", "the password is wrong", "http://host:8080/v1@2"]
)
def test_words_stay(said: str) -> None:
    assert said == Redactor().redact(said)


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

    (line,) = lines(path)
    assert "INFO" == line["level"]


def test_braces_in_a_message_are_only_braces(tmp_path: Path) -> None:
    with open_log(tmp_path) as path:
        logger.info("{}", "{time} <red> {0}")

    assert "{time} <red> {0}" in logged(path)


def test_warnings_go_to_stderr_when_asked_and_nothing_else(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with open_log(tmp_path, to_stderr=True):
        logger.info("a detail")
        logger.warning("trouble: {}\nand {}", BadKey("no").code, KEY)

    shown = capsys.readouterr().err
    assert "WARNING  trouble: bad_key and [key removed] (" in shown
    assert 1 == len(shown.splitlines())
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
    with open_log(tmp_path):
        for number in range(60):
            logger.error("line {}", number)

    for name in ("combined", "error"):
        assert "line 59" in logged(tmp_path / f"{name}.log")
        assert 3 <= len(list(tmp_path.glob(f"{name}*.log"))) <= KEPT_FILES + 2
