"""What the page is told without asking, and the numbered buffer it is told from.

Every event is a fact that can be applied twice without harm: whole rows, or text with its offset. The
store is the truth; an event is a hint to look sooner.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from deskside.backend.agent.device_models import DeviceStatus
from deskside.backend.backups.job import Job
from deskside.backend.proposal import Proposal
from deskside.backend.settings import Settings
from deskside.backend.store.attachments import AttachmentRow
from deskside.backend.store.conversations import ConversationRow
from deskside.backend.store.errors import ErrorRow
from deskside.backend.store.messages import MessagePart, MessageRow
from deskside.backend.transfer_state import Transfer
from deskside.backend.updates.state import UpdateState


class ConversationChanged(msgspec.Struct, frozen=True, tag="conversation_changed"):
    conversation: ConversationRow


class ConversationDeleted(msgspec.Struct, frozen=True, tag="conversation_deleted"):
    conversation_id: int


class MessageChanged(msgspec.Struct, frozen=True, tag="message_changed"):
    """The whole row: a message appeared, finished, or changed its status."""

    message: MessageRow


class TextAppended(msgspec.Struct, frozen=True, tag="text_appended"):
    """Text at `offset` (UTF-16 code units, as JavaScript counts) of part `position` of a message.

    What the page already has beyond `offset` is the same text: it appends only what is new.
    """

    conversation_id: int
    message_id: int
    position: int
    kind: Literal["text", "reasoning", "arguments"]
    offset: int
    text: str


class PartChanged(msgspec.Struct, frozen=True, tag="part_changed"):
    """A part appeared or changed as a whole (a tool call's status, its result)."""

    conversation_id: int
    message_id: int
    position: int
    part: MessagePart


class PartsReplaced(msgspec.Struct, frozen=True, tag="parts_replaced"):
    """From `position` on the parts of a message are these: what a broken attempt had said is no part of the
    answer any more."""

    conversation_id: int
    message_id: int
    position: int
    parts: list[MessagePart]


class ReplyRetried(msgspec.Struct, frozen=True, tag="reply_retried"):
    """A model call failed and is made again after `delay_s`: `message` says why."""

    conversation_id: int
    message_id: int
    attempt: int
    delay_s: float
    message: str


class SettingsChanged(msgspec.Struct, frozen=True, tag="settings_changed"):
    settings: Settings


class KeysChanged(msgspec.Struct, frozen=True, tag="keys_changed"):
    """Keys or the keychain's state changed: ask `keys.overview` again."""


class ModelsChanged(msgspec.Struct, frozen=True, tag="models_changed"):
    """The list of models changed: ask `models.available` again."""


class ToolsChanged(msgspec.Struct, frozen=True, tag="tools_changed"):
    """Tools, or what was chosen about them, changed: ask `tools.list` again."""


class AgentsChanged(msgspec.Struct, frozen=True, tag="agents_changed"):
    """Agents were added, changed or deleted: ask `agents.list` again. A conversation's `agent` can have
    another name by now."""


class AttachmentChanged(msgspec.Struct, frozen=True, tag="attachment_changed"):
    """Its text was read, or could not be."""

    attachment: AttachmentRow


class FoldersChanged(msgspec.Struct, frozen=True, tag="folders_changed"):
    """Folders or tags, or what they hold, changed: ask `sorting.overview` again."""


class DeviceChanged(msgspec.Struct, frozen=True, tag="device_changed"):
    status: DeviceStatus


class MemoriesChanged(msgspec.Struct, frozen=True, tag="memories_changed"):
    """A memory was added, changed or deleted: ask `memories.list` again."""


class McpChanged(msgspec.Struct, frozen=True, tag="mcp_changed"):
    """An MCP server came, went or changed its state or its tools: ask `mcp.servers` again."""


class NetworkChanged(msgspec.Struct, frozen=True, tag="network_changed"):
    """Something left this machine, or came to its end: ask `network.page` and `network.totals` again."""


class TransferChanged(msgspec.Struct, frozen=True, tag="transfer_changed"):
    """The import or export that is under way; None once it was put away."""

    transfer: Transfer | None


class ProposalsChanged(msgspec.Struct, frozen=True, tag="proposals_changed"):
    """What a link or a file proposes: all that wait to be seen, in their order."""

    waiting: list[Proposal]


class BackupsChanged(msgspec.Struct, frozen=True, tag="backups_changed"):
    """How far the work on backups is. Without a job: it ended, or something else about backups changed; ask
    `backups.list` again."""

    job: Job | None


class UpdatesChanged(msgspec.Struct, frozen=True, tag="updates_changed"):
    """Somebody looked for a newer Deskside, or chose to skip one."""

    state: UpdateState


class FaultKept(msgspec.Struct, frozen=True, tag="fault_kept"):
    """Something failed that nobody asked for, so nobody was told: the row as it is now. The page shows it
    once (`diagnostics.mark_errors_shown`)."""

    fault: ErrorRow


class Notice(msgspec.Struct, frozen=True, tag="notice"):
    """Something the user should know that belongs to no message: `code` as in errors.py."""

    level: Literal["info", "warning", "error"]
    code: str
    message: str
    hint: str


class Trouble(msgspec.Struct, frozen=True):
    """Why nothing can be saved now: `code` as in errors.py. `is_lasting`: until the program starts again."""

    code: str
    message: str
    hint: str
    is_lasting: bool


class TroubleChanged(msgspec.Struct, frozen=True, tag="trouble_changed"):
    """The store cannot write any more, or can again (None)."""

    trouble: Trouble | None


MenuChoice = Literal[
    "newChat", "search", "chooseModel", "settings", "sidebar", "help", "zoomIn", "zoomOut", "zoomReset"
]
"""What the shortcuts of the page do, by their names in keyboard.ts."""


class MenuChosen(msgspec.Struct, frozen=True, tag="menu_chosen"):
    """The user chose it in a menu of the system's."""

    choice: MenuChoice


AppEvent = (
    ConversationChanged
    | ConversationDeleted
    | MessageChanged
    | TextAppended
    | PartChanged
    | PartsReplaced
    | ReplyRetried
    | SettingsChanged
    | KeysChanged
    | ModelsChanged
    | ToolsChanged
    | AgentsChanged
    | AttachmentChanged
    | FoldersChanged
    | DeviceChanged
    | MemoriesChanged
    | McpChanged
    | NetworkChanged
    | TransferChanged
    | ProposalsChanged
    | BackupsChanged
    | UpdatesChanged
    | FaultKept
    | Notice
    | TroubleChanged
    | MenuChosen
)
