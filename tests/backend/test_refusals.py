"""No key, and no part of one that is worth reading, gets into a sentence."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from deskside.backend.agent.refusals import error_of, read_refusal, without_key
from deskside.backend.errors import ContextTooLong, Overloaded, ProviderError, RequestRefused, UnknownModel

KEYS = st.text("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_", min_size=16, max_size=60)


@given(KEYS, st.text(max_size=30), st.text(max_size=30), st.integers(0, 8), st.integers(8, 60))
def test_no_eight_characters_of_the_key_are_left(
    key: str, before: str, after: str, start: int, stop: int
) -> None:
    said = without_key(f"{before}{key[start:stop]}{after} {key}", key)

    assert not any(key[at : at + 8] in said for at in range(len(key) - 7))


@pytest.mark.parametrize(
    "echo",
    ["sk-proj-ab***************wxyz", "sk-ant-api03-Zz…9f", "Bearer abcdef", "abc***xyz", "xai-12345678"],
)
def test_what_looks_like_a_key_is_cut_out_even_if_it_is_not_ours(echo: str) -> None:
    assert "Incorrect key: [key] there" == without_key(f"Incorrect key: {echo} there", None)


def test_a_local_server_s_placeholder_is_no_secret() -> None:
    assert "ollama: model not found" == without_key("ollama: model not found", "ollama")


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (404, b'{"error":"model \'qwen3\' not found"}', UnknownModel),  # Ollama
        (404, b'{"error":{"message":"model \\"qwen3\\" not found, try pulling it first"}}', UnknownModel),
        (
            404,
            b'{"object":"error","message":"The model `x` does not exist.","type":"NotFoundError"}',
            UnknownModel,
        ),
        (404, b'{"detail":"Not Found"}', RequestRefused),  # FastAPI
        (
            400,
            b'{"error":{"code":400,"message":"the request exceeds the available context size",'
            b'"type":"exceed_context_size_error","n_prompt_tokens":9000,"n_ctx":4096}}',
            ContextTooLong,
        ),  # llama.cpp
        (
            400,
            b'{"object":"error","message":"This model\'s maximum context length is 4096 tokens.","code":400}',
            ContextTooLong,
        ),  # vLLM
        (503, b'{"error":{"code":503,"message":"Loading model","type":"unavailable_error"}}', Overloaded),
        (400, b'{"error":"gemma does not support tools"}', RequestRefused),
        (418, b"\xff\xfe", RequestRefused),
        (302, b"", RequestRefused),
    ],
)
def test_the_shapes_of_local_servers_are_read(status: int, body: bytes, kind: type[ProviderError]) -> None:
    error = error_of(read_refusal(status, {}, body), label="My server", key=None, model="qwen3")

    assert type(error) is kind
    assert "My server" in error.message


def test_an_answer_that_is_nested_without_end_is_taken_as_text() -> None:
    error = error_of(read_refusal(500, {}, b"[" * 100_000), label="My server", key=None)

    assert isinstance(error, Overloaded)


@given(
    st.integers(200, 599),
    st.binary(max_size=200),
    st.dictionaries(
        st.sampled_from(
            [
                "retry-after",
                "retry-after-ms",
                "x-ratelimit-reset-tokens",
                "anthropic-ratelimit-tokens-reset",
                "date",
            ]
        ),
        st.text(st.characters(codec="latin-1"), max_size=30),
    ),
)
@example(429, b"", {"retry-after": "0\x1f"})
def test_any_answer_makes_an_error_and_never_another_exception(
    status: int, body: bytes, headers: dict[str, str]
) -> None:
    error = error_of(read_refusal(status, headers, body), label="My server", key=None)

    assert isinstance(error, ProviderError)


def test_a_reset_time_of_anthropic_s_is_a_wait() -> None:
    headers = {
        "anthropic-ratelimit-tokens-remaining": "0",
        "anthropic-ratelimit-tokens-reset": "2026-11-23T07:00:30Z",
        "date": "Mon, 23 Nov 2026 07:00:00 GMT",
    }

    assert 30.0 == read_refusal(429, headers, b"{}").retry_after_s
