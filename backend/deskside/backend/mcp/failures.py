"""What talking to a server raises, and how that is said to the user."""

from __future__ import annotations

import logging

import anyio
import httpx2
from mcp.shared.exceptions import MCPError
from mcp_types import CONNECTION_CLOSED, INVALID_REQUEST
from pydantic import ValidationError

from deskside.backend.errors import Offline

FAILURES = (
    MCPError,
    OSError,
    TimeoutError,
    httpx2.HTTPError,
    ValueError,
    RuntimeError,
    anyio.EndOfStream,
    Offline,
)
"""What talking to a server raises; also inside an exception group."""
FAILURES_OF_STREAMS = (anyio.ClosedResourceError, anyio.BrokenResourceError)

# The SDK writes what a server sent into its log lines. What matters of it is in the server's own log.
for sdk_logger in ("mcp", "client"):
    logging.getLogger(sdk_logger).setLevel(logging.CRITICAL + 1)


class EndedAtDiscovery(Exception):
    """The server left when it was asked whether it knows the newest protocol: ask it in the old way."""


class SignInNeeded(Exception):
    """The server wants the user to sign in. `challenge` is what it says about where (its
    WWW-Authenticate)."""

    def __init__(self, challenge: str) -> None:
        super().__init__("The server wants you to sign in.")
        self.challenge = challenge


def why(error: BaseException) -> str:
    """A failure as a sentence for the user."""
    if isinstance(error, BaseExceptionGroup):
        return why(error.exceptions[0])
    if isinstance(error, PermissionError) and error.errno is None:
        return str(error)
    if isinstance(error, Offline):
        return error.message
    if isinstance(error, EndedAtDiscovery):
        return "It ended when it was greeted in the newest way; it is greeted in the old one now."
    if isinstance(error, TimeoutError):
        return "It did not answer in time."
    if isinstance(error, httpx2.ConnectError):
        return "There is nothing at its address that answers."
    if isinstance(error, ValidationError):
        return "What it says does not fit the protocol."
    if isinstance(error, MCPError):
        return f"It says: {error.message[:300]}"
    return f"It could not be reached ({type(error).__name__}: {str(error)[:300]})."


def is_end(error: MCPError) -> bool:
    """Whether the SDK says that the connection is gone. By its words: servers use the same codes for errors
    of their own."""
    return (error.code, error.message) in (
        (CONNECTION_CLOSED, "Connection closed"),
        (INVALID_REQUEST, "Session terminated"),
    )
