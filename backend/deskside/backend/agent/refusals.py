"""What a provider's error answer means, whatever its shape.

Status, headers and body of an HTTP error, or the error object inside a stream, become a `Refusal`; a
`Refusal` becomes one of our errors. Knows the shapes of OpenAI, Anthropic, Ollama, LM Studio, llama.cpp
and vLLM, and keeps to codes before words: words change.

No sentence made here holds the key: providers repeat it in part ("Incorrect API key provided:
sk-ab***yz"), proxies sometimes whole.
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import msgspec

from deskside.backend.errors import (
    BadKey,
    ContentRefused,
    ContextTooLong,
    Overloaded,
    ProviderError,
    RateLimited,
    RequestRefused,
    UnknownModel,
)

DETAIL_LIMIT = 400  # characters of a provider's own words that fit under a message


class Refusal(msgspec.Struct, frozen=True):
    """What could be read out of an error answer. `status` 0 means it came inside a stream."""

    status: int = 0
    code: str = ""
    kind: str = ""
    message: str = ""
    param: str = ""
    retry_after_s: float | None = None
    is_structured: bool = False

    def is_about(self, pattern: re.Pattern[str]) -> bool:
        """True where the provider's words or codes match."""
        return any(pattern.search(text) for text in (self.param, self.code, self.message))


def read_refusal(status: int, headers: Mapping[str, str], body: bytes) -> Refusal:
    """Read an HTTP error. Never raises: a body we do not know is taken as text."""
    retry_after_s = _retry_after_s(headers)
    try:
        decoded = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        text = "" if b"<html" in body[:1000].lower() else body[:2000].decode(errors="replace")
        return Refusal(status, message=text.strip(), retry_after_s=retry_after_s)
    refusal = refusal_in(decoded) or Refusal(message=body[:2000].decode(errors="replace"))
    return msgspec.structs.replace(refusal, status=status, retry_after_s=retry_after_s)


def refusal_in(decoded: Any) -> Refusal | None:
    """The error inside a decoded JSON value, or None where it holds none."""
    if not isinstance(decoded, dict):
        return None
    error = decoded.get("error", decoded.get("detail"))
    if error is None and decoded.get("object") == "error":  # vLLM before 0.10
        error = decoded
    if isinstance(error, str):
        return Refusal(message=error, is_structured=True)
    if not isinstance(error, dict):
        return None
    details = error.get("details")
    code = details.get("error_code") if isinstance(details, dict) else None
    return Refusal(
        code=_text(code or error.get("code")),
        kind=_text(error.get("type")),
        message=_text(error.get("message")),
        param=_text(error.get("param")),
        is_structured=True,
    )


def _text(value: object) -> str:
    return "" if value is None else str(value)


# -- meaning ------------------------------------------------------------------------------------

# Inside a stream there is no status; these say which one the provider would have sent.
_STATUS_OF_KIND = {
    "invalid_request_error": 400,
    "authentication_error": 401,
    "billing_error": 402,
    "permission_error": 403,
    "not_found_error": 404,
    "rate_limit_error": 429,
    "rate_limit_exceeded": 429,
    "tokens": 429,
    "requests": 429,
    "api_error": 500,
    "server_error": 500,
    "internal_server_error": 500,
    "timeout_error": 504,
    "overloaded_error": 529,
    "server_is_overloaded": 529,
    "slow_down": 529,
    "unavailable_error": 503,
}
_BILLING_CODES = {
    "insufficient_quota",
    "billing_hard_limit_reached",
    "billing_not_active",
    "billing_error",
    "contract_spend_limit_reached",
    "enforced_spend_limit_reached",
    "linked_organization_spend_limit_reached",
    "linked_organization_billing_unavailable",
}
_CONTEXT_CODES = {"context_length_exceeded", "exceed_context_size_error", "request_too_large"}
_CONTEXT_WORDS = re.compile(
    r"context (length|window|size|limit)|prompt is too long|maximum context|too many input tokens"
    r"|input is too long|exceeds? the (model's )?(available |maximum )?context",
    re.IGNORECASE,
)
_POLICY_CODES = {
    "content_filter",
    "content_policy_violation",
    "invalid_prompt",
    "bio_policy",
    "cyber_policy",
    "misalignment_policy_violation",
    "image_content_policy_violation",
}
_MODEL_CODES = {"model_not_found", "model_not_available", "invalid_model", "model_deprecated"}
_NO_TOOLS_WORDS = re.compile(r"does not support (tools|tool use|function)", re.IGNORECASE)


def error_of(refusal: Refusal, *, label: str, key: str | None, model: str = "") -> ProviderError:
    """The error a user is shown: what happened by `label` (the provider), and what to do."""
    status = refusal.status or _STATUS_OF_KIND.get(refusal.code) or _STATUS_OF_KIND.get(refusal.kind, 0)
    names = {refusal.code, refusal.kind}
    detail = _one_line(without_key(refusal.message, key))
    if names & _BILLING_CODES or status == 402 or "credit balance" in detail:
        return RequestRefused(
            f"{label} says the account has no credit left, or has reached its spending limit.",
            hint=f"Add credit or raise the limit in your account at {label}, then press Retry.",
        )
    if names & _CONTEXT_CODES or status == 413 or (status != 429 and _CONTEXT_WORDS.search(detail)):
        return ContextTooLong(f"The conversation is too long for this model. {label}: {detail}")
    if names & _POLICY_CODES:
        return ContentRefused(f"{label} declined to answer: {detail}")
    if status == 429:
        return _rate_limited(refusal, label, detail)
    if _is_about_model(refusal, status, model):
        return UnknownModel(f"{label} does not know the model {model!r}, or your key may not use it.")
    return _by_status(status, refusal, label, detail, key)


def _rate_limited(refusal: Refusal, label: str, detail: str) -> RateLimited:
    wait_s = refusal.retry_after_s
    wait = "" if wait_s is None else f" It asks to wait {_duration(wait_s)}."
    return RateLimited(
        f"{label} is limiting requests.{wait} {detail}".rstrip(),
        hint=None if wait_s is None or wait_s < 90 else "Press Retry after that, or choose another model.",
        retry_after_s=wait_s,
    )


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    return f"{round(seconds / 60)} min" if seconds < 5400 else f"{round(seconds / 3600)} h"


def _is_about_model(refusal: Refusal, status: int, model: str) -> bool:
    if refusal.code in _MODEL_CODES:
        return True
    if status == 404:
        return refusal.is_structured and (
            "model" in refusal.message.lower() or (model != "" and model in refusal.message)
        )
    return status == 400 and refusal.param == "model"


def _by_status(status: int, refusal: Refusal, label: str, detail: str, key: str | None) -> ProviderError:
    if status == 401 and not key:
        return BadKey(f"{label} wants a key, and none was sent.")
    if status == 401:
        return BadKey(f"{label} refused the key.")
    if status == 403 and refusal.is_structured:
        return BadKey(
            f"{label} does not allow this with your key: {detail}", hint="Check what the key may be used for."
        )
    if status == 404:
        return RequestRefused(
            f"There is nothing at this address of {label}.",
            hint="Check the server's address in Settings; it usually ends in /v1.",
        )
    if status in (408, 409, 425) or status >= 500:
        return Overloaded(f"{label} could not answer just now{_said(status, detail)}")
    if _NO_TOOLS_WORDS.search(detail):
        return RequestRefused(f"This model cannot use tools. {label}: {detail}", hint="Choose another model.")
    return RequestRefused(f"{label} refused the request{_said(status, detail)}")


def _said(status: int, detail: str) -> str:
    if detail:
        return f": {detail}" if detail.endswith((".", "!", "?", "…")) else f": {detail}."
    return f" (HTTP {status})." if status else "."


def _one_line(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= DETAIL_LIMIT else line[: DETAIL_LIMIT - 1] + "…"


# -- keys ---------------------------------------------------------------------------------------

_KEY_SHAPED = re.compile(r"(?:\b(?:sk|pk|rk|gsk|xai)-[^\s\"',;]{4,})|(?:\bBearer\s+\S+)|\S*\*{3,}\S*")
_WINDOW = 8  # characters in a row that would be worth something to a reader


def without_key(text: str, key: str | None) -> str:
    """`text` without the key and without anything that looks like one, or a part of one.

    A key below 16 characters is a local server's placeholder ("ollama"): it is no secret, and to cut it
    out everywhere would cut the provider's name.
    """
    if key and len(key) >= 16:
        windows = {key[start : start + _WINDOW] for start in range(len(key) - _WINDOW + 1)}
        if any(window in text for window in windows):
            text = re.sub(
                r"[^\s\"',;]+",
                lambda word: "[key]" if any(window in word[0] for window in windows) else word[0],
                text,
            )
    return _KEY_SHAPED.sub("[key]", text)


# -- waiting ------------------------------------------------------------------------------------

_UNIT_S = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


def _retry_after_s(headers: Mapping[str, str]) -> float | None:
    """Seconds the provider asks to wait, from whichever header says so; None where none does."""
    milliseconds = _number(headers.get("retry-after-ms"))
    if milliseconds is not None:
        return milliseconds / 1000
    value = headers.get("retry-after")
    if value is not None:
        seconds = _number(value)
        return seconds if seconds is not None else _until(_http_date(value), headers)
    return _reset_s(headers)


def _reset_s(headers: Mapping[str, str]) -> float | None:
    """The longest wait among the limits that are used up, else the shortest of all."""
    used_up: list[float] = []
    others: list[float] = []
    for what in ("requests", "tokens", "input-tokens", "output-tokens"):
        for prefix, suffix in (("x-ratelimit-", f"-{what}"), ("anthropic-ratelimit-", "")):
            name = f"{prefix}reset{suffix}" if suffix else f"{prefix}{what}-reset"
            left = headers.get(f"{prefix}remaining{suffix}" if suffix else f"{prefix}{what}-remaining")
            wait_s = _wait_s(headers.get(name), headers)
            if wait_s is not None:
                (used_up if left == "0" else others).append(wait_s)
    return max(used_up) if used_up else min(others, default=None)


def _wait_s(value: str | None, headers: Mapping[str, str]) -> float | None:
    """`6m0s`, `20ms`, `1.5` (seconds) or an RFC 3339 time, as seconds from now."""
    if value is None:
        return None
    parts = re.findall(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)", value)
    if parts and "".join(number + unit for number, unit in parts) == value:
        return sum(float(number) * _UNIT_S[unit] for number, unit in parts)
    seconds = _number(value)
    if seconds is not None:
        return seconds
    try:
        return _until(datetime.fromisoformat(value), headers)
    except ValueError:
        return None


def _until(moment: datetime | None, headers: Mapping[str, str]) -> float | None:
    """Seconds until `moment` by the provider's own clock (`Date`), which ours may differ from."""
    if moment is None:
        return None
    now = _http_date(headers.get("date", "")) or datetime.fromtimestamp(time.time(), UTC)
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return max(0.0, (moment - now).total_seconds())


def _http_date(value: str) -> datetime | None:
    try:
        moment = parsedate_to_datetime(value)
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _number(value: str | None) -> float | None:
    # (What `\s` takes for space is more than what `float` passes over.)
    if value is None or re.fullmatch(r"[ \t]*[0-9]+(\.[0-9]+)?[ \t]*", value) is None:
        return None
    return float(value)
