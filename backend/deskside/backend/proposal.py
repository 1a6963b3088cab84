"""What a link or a file from outside proposes, and how a `deskside:` link is read.

A link may come from any page, mail or chat. It names a conversation to open, or carries an agent to look at;
there is no link that starts, allows, sends, changes or fetches anything, and none that names a file.
"""

from __future__ import annotations

import re
from typing import Literal
from urllib.parse import parse_qsl, unquote, urlsplit

import msgspec

from deskside.backend.errors import InvalidRequest
from deskside.backend.store.agents import Agent

SCHEME = "deskside"
# What systems and browsers pass on as one argument; an agent with a page of instructions fits.
LONGEST_LINK = 16_000
LARGEST_ID = 2**53 - 1

_id = re.compile(r"[1-9][0-9]{0,15}")
# What may be in an address (RFC 3986); everything else is written as %XX there.
_address = re.compile(r"[A-Za-z0-9\-._~:/?#\[\]@!$&'()*+,;=%]*")
_HINT = "Nothing was opened or changed. Ask whoever gave you the link for another one."


class ConversationLink(msgspec.Struct, frozen=True):
    """A link to a conversation, which may be gone."""

    conversation_id: int


class AgentLink(msgspec.Struct, frozen=True):
    """A link that carries the text of an agent's file, unread."""

    text: str


class ProposedConversation(msgspec.Struct, frozen=True, tag="conversation"):
    """To open a conversation, which exists. `id` numbers the proposals of this run of the program."""

    id: int
    conversation_id: int


class ProposedAgent(msgspec.Struct, frozen=True, tag="agent"):
    """To import an agent: `json` is for `agents.import_`. `free_name` is `name`, or one like it where that is
    taken. `notes` are sentences that the user should read."""

    id: int
    origin: Literal["link", "file"]
    json: str
    free_name: str
    agent: Agent
    notes: list[str]


class ProposedNewChat(msgspec.Struct, frozen=True, tag="new_chat"):
    """To begin a new conversation: the tray's menu can, a link cannot."""

    id: int


class RefusedProposal(msgspec.Struct, frozen=True, tag="refused"):
    """Something came that proposes nothing that could be done: why, and what to do."""

    id: int
    message: str
    hint: str


Proposal = ProposedConversation | ProposedAgent | ProposedNewChat | RefusedProposal


def is_link(text: str) -> bool:
    """Is this an address, of whatever kind, and no path? A drive's letter (`C:`) is a path's."""
    return re.match(r"[A-Za-z][A-Za-z0-9+.\-]+:", text) is not None


def read_link(text: str) -> ConversationLink | AgentLink:
    """Read a link: `deskside://conversation/ID` or `deskside://agent?json=TEXT`, the text of an agent's file
    percent-encoded. Raises InvalidRequest with a sentence for all others."""
    if len(text) > LONGEST_LINK:
        raise _refused(f"is longer than {LONGEST_LINK:,} characters")
    if not _address.fullmatch(text):
        raise _refused("holds characters that no link may hold")
    try:
        parts = urlsplit(text)
    except ValueError as error:
        raise _refused("cannot be read") from error
    if parts.scheme != SCHEME:
        raise _refused(f"does not begin with {SCHEME}://")
    kind = parts.netloc
    if kind == "conversation" and not parts.query and not parts.fragment:
        id = parts.path.removeprefix("/")
        if not _id.fullmatch(id) or int(id) > LARGEST_ID:
            raise _refused("names no conversation by its number")
        return ConversationLink(int(id))
    if kind == "agent" and parts.path in ("", "/") and not parts.fragment:
        return AgentLink(_agent_text(parts.query))
    raise _refused("is neither to a conversation nor to an agent")


def _agent_text(query: str) -> str:
    if [name for name, _ in parse_qsl(query, keep_blank_values=True)] != ["json"]:
        raise _refused("does not carry an agent, as “?json=”")
    try:
        # Not parse_qsl's: there a + is a space, and what is no UTF-8 becomes something else.
        return unquote(query.removeprefix("json="), errors="strict")
    except UnicodeDecodeError as error:
        raise _refused("does not carry text") from error


def _refused(problem: str) -> InvalidRequest:
    return InvalidRequest(f"This link {problem}.", hint=_HINT)
