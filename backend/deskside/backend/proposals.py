"""Proposals from outside, until the user has seen them: links and files that the system gave us to open.

Invariants
  - A proposal changes nothing. What comes of it the user starts in the window: opening a conversation shows
    it, an agent and an export are shown before anything is imported.
  - They are shown in the order in which they came, one at a time: none takes the place of one that the user
    is just reading.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Literal

from loguru import logger

from deskside.backend.errors import AppError, InvalidRequest
from deskside.backend.event_buffer import EventBuffer
from deskside.backend.events import ProposalsChanged
from deskside.backend.exchange import agent_file
from deskside.backend.exchange.transfers import Transfers
from deskside.backend.proposal import (
    ConversationLink,
    Proposal,
    ProposedAgent,
    ProposedConversation,
    ProposedNewChat,
    RefusedProposal,
    is_link,
    read_link,
)
from deskside.backend.store import agents, conversations
from deskside.backend.store.database import Store

MOST_WAITING = 8


class Proposals:
    """Those that wait to be seen. Used on the backend's loop only."""

    def __init__(self, store: Store, events: EventBuffer, transfers: Transfers) -> None:
        self._store = store
        self._events = events
        self._transfers = transfers
        self._waiting: list[Proposal] = []
        self._ids = 0

    @property
    def waiting(self) -> list[Proposal]:
        """In the order in which they came."""
        return list(self._waiting)

    async def open(self, target: str) -> None:
        """Take a link, or a file by its path, as the system or a terminal gave it. Raises nothing: the window
        says what cannot be opened."""
        self._ids += 1
        id = self._ids
        found: Proposal | None
        try:
            if is_link(target):
                found = await self._from_link(id, target)
            else:
                found = await self._from_file(id, Path(target))
        except AppError as error:
            self._refuse(id, error)
            return
        if found is not None:
            self._add(found)

    async def refuse(self, error: AppError) -> None:
        """Say why something that came cannot be opened, where that was seen before it came here."""
        self._ids += 1
        self._refuse(self._ids, error)

    async def open_conversation(self, conversation_id: int) -> None:
        """Show a conversation; the window says where it is gone."""
        await self.open(f"deskside://conversation/{conversation_id}")

    async def new_chat(self) -> None:
        """Show a new conversation."""
        self._ids += 1
        self._add(ProposedNewChat(self._ids))

    def put_away(self, id: int) -> None:
        """The user has seen it."""
        before = len(self._waiting)
        self._waiting = [each for each in self._waiting if each.id != id]
        if len(self._waiting) != before:
            self._events.publish(ProposalsChanged(self.waiting))

    def _refuse(self, id: int, error: AppError) -> None:
        logger.info("a proposal was refused: {}", error.code)
        self._add(RefusedProposal(id, error.message, error.hint))

    def _add(self, proposal: Proposal) -> None:
        if len(self._waiting) >= MOST_WAITING:
            logger.warning("too many links and files at once: one was left out")
            return
        self._waiting.append(proposal)
        self._events.publish(ProposalsChanged(self.waiting))

    async def _from_link(self, id: int, text: str) -> Proposal:
        link = read_link(text)
        if isinstance(link, ConversationLink):
            await self._store.read(conversations.get, link.conversation_id)
            return ProposedConversation(id, link.conversation_id)
        return await self._agent(id, "link", link.text)

    async def _from_file(self, id: int, path: Path) -> Proposal | None:
        """None for conversations: what an import would bring has a dialog of its own."""
        text = await asyncio.to_thread(_agent_text, path)
        if text is not None:
            return await self._agent(id, "file", text)
        await self._transfers.look(path)
        return None

    async def _agent(self, id: int, origin: Literal["link", "file"], text: str) -> ProposedAgent:
        read = await asyncio.to_thread(agent_file.read, text)
        free_name = await self._store.read(agents.free_name, read.agent.name)
        return ProposedAgent(id, origin, text, free_name, read.agent, read.notes)


def _agent_text(path: Path) -> str | None:
    """The text of an agent's file, None where it is none. Raises InvalidRequest for what is no file, or
    cannot be read."""
    try:
        if not path.is_file():  # a device or a pipe could be read for ever
            raise InvalidRequest(
                f"There is no file {path.name!r}.", hint="Check its name, and that it is still there."
            )
        if path.stat().st_size > agent_file.LARGEST_BYTES or not agent_file.is_agent(path.read_bytes()):
            return None
        return agent_file.read_text(path)
    except (OSError, ValueError) as error:  # ValueError: a name with a null character
        raise InvalidRequest(
            f"The file {path.name!r} cannot be read.",
            hint="Check that it is there, and that you may read it.",
        ) from error
