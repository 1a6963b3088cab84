"""What the user chose. Theme and language live on the local user's row, the rest in `setting`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, Literal

import msgspec
from loguru import logger

from deskside.backend import redaction
from deskside.backend.agent.instructions import BUILT_IN
from deskside.backend.agent.limits import Limits
from deskside.backend.errors import InvalidRequest
from deskside.backend.sentry import read_dsn
from deskside.backend.store import settings as rows
from deskside.backend.theme import Theme

if TYPE_CHECKING:
    from deskside.backend.event_buffer import EventBuffer
    from deskside.backend.store.database import Store

Language = Literal["en"]
NotificationText = Literal["nothing", "title", "answer"]
ZoomPercent = Annotated[int, msgspec.Meta(ge=50, le=300)]
ServerId = Annotated[str, msgspec.Meta(pattern="^[a-z][a-z0-9-]{0,31}$")]
Url = Annotated[str, msgspec.Meta(pattern="^https?://[^\\s]+$", max_length=2000)]


class Server(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An OpenAI-compatible server. `id` is the provider part of its models' names; the first one is
    called `local`. `base_url` includes the `/v1`. `is_free`: the user says that its answers cost nothing."""

    id: ServerId
    label: Annotated[str, msgspec.Meta(min_length=1, max_length=100)]
    base_url: Url
    is_free: bool = False


class Field(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What `{{name}}` in an agent's instructions stands for."""

    name: Annotated[str, msgspec.Meta(pattern="^[a-z][a-z0-9_]{0,31}(?!\\n)$")]
    value: Annotated[str, msgspec.Meta(max_length=4000)]


class GrantedFolder(msgspec.Struct, frozen=True):
    """A folder whose files the assistant may read, and write where `can_write` says so. `path` is whole, and
    was resolved when the user granted it: it holds no link."""

    path: str
    can_write: bool = False


class Settings(msgspec.Struct, frozen=True):
    """All settings with their defaults. A base URL of None leaves it to the SDK's own variable
    (`OPENAI_BASE_URL`, `ANTHROPIC_BASE_URL`), else to the provider's address.

    `device_model` is the path of the GGUF file to run; None means the bundled small model. `user_name` is
    what agents call the user; `limits` hold for all agents together; at most `max_runs` runs work at once.
    `folders` are granted in a dialog of the system or from the terminal: `settings.change` takes none.
    `is_offline` closes the way out of this machine (network/switch.py): `settings.change` does not take it.
    `names_conversations` lets the model of a new conversation give it a title, which is one more model call.
    `records_runs`: what runs ask, say and do is recorded, and kept for `recordings_days`, or until all
    recordings take more than `recordings_mb` (10⁶ bytes); the oldest go first. `sentry_dsn` is where failures
    are reported to (error_reports.py); empty, they are not.
    `looks_for_updates`: once a day Deskside looks whether there is a newer one.
    `notifies`: the desktop is told when an answer ends or waits while the window is not in front, and shows
    `notification_text` of it. `closes_to_tray`: closing the window hides it where there is a tray.
    """

    theme: Theme = "system"
    language: Language = "en"
    default_model: str | None = None
    servers: list[Server] = []
    openai_base_url: Url | None = None
    anthropic_base_url: Url | None = None
    device_model: str | None = None
    folders: list[GrantedFolder] = []
    has_chosen_start: bool = False
    user_name: str = ""
    fields: list[Field] = []
    limits: Limits = Limits()
    max_runs: int = 4
    names_conversations: bool = False
    is_offline: bool = False
    records_runs: bool = True
    recordings_days: int = 90
    recordings_mb: int = 1000
    sentry_dsn: str = ""
    looks_for_updates: bool = True
    notifies: bool = True
    notification_text: NotificationText = "title"
    closes_to_tray: bool = False
    zoom_percent: ZoomPercent = 100


MOST_FOLDERS = 50
DRAFT = "new_chat_draft"
# A change of these changes which models there are.
ABOUT_MODELS = frozenset({"servers", "openai_base_url", "anthropic_base_url"})


class SettingsStore:
    """The settings in memory, and their way to the disk. Used from the backend's loop only."""

    def __init__(self, store: Store, events: EventBuffer, current: Settings) -> None:
        self._store = store
        self._events = events
        self._current = current

    @property
    def current(self) -> Settings:
        return self._current

    async def change(self, changes: Mapping[str, Any]) -> Settings:
        """Change some settings and return all. They hold from when they are stored.

        Raises InvalidRequest for servers that share an id or take a provider's, and for fields that share a
        name or take one of the program's; for anything that holds a key. BadSetting for what is no DSN.
        """
        from deskside.backend.events import ModelsChanged, SettingsChanged  # events.py names Settings

        if redaction.PROCESS.holds_key(msgspec.json.encode(dict(changes)).decode()):
            raise InvalidRequest(
                "This holds one of your keys, which are kept in the keychain and nowhere else.",
                hint="Leave it out. A key goes into Settings, under Keys.",
            )
        _check_servers(changes.get("servers", []))
        _check_fields(changes.get("fields", []))
        if changes.get("sentry_dsn"):
            read_dsn(changes["sentry_dsn"])
        msgspec.structs.replace(self._current, **changes)  # a name that is no setting is not stored
        await self._store.write(rows.save, msgspec.to_builtins(dict(changes)))
        self._current = msgspec.structs.replace(self._current, **changes)
        self._events.publish(SettingsChanged(self._current))
        if ABOUT_MODELS & changes.keys():
            self._events.publish(ModelsChanged())
        return self._current

    async def new_chat_draft(self) -> str:
        """What is typed in the conversation that does not exist yet."""
        stored = (await self._store.read(rows.load)).get(DRAFT, "")
        return stored if isinstance(stored, str) else ""

    async def save_new_chat_draft(self, text: str) -> None:
        await self._store.write_soon(rows.save, {DRAFT: text})


async def open_settings(store: Store, events: EventBuffer, *, is_offline: bool = False) -> SettingsStore:
    """Read what is stored. A value that this version cannot read is left out, and stays stored.
    `is_offline` holds until it is changed, and is not stored."""
    current = _readable(await store.read(rows.load))
    if is_offline:
        current = msgspec.structs.replace(current, is_offline=True)
    return SettingsStore(store, events, current)


def _readable(stored: Mapping[str, Any]) -> Settings:
    known: dict[str, Any] = {}
    for field in msgspec.structs.fields(Settings):
        if field.name not in stored:
            continue
        try:
            known[field.name] = msgspec.convert(stored[field.name], field.type)
        except msgspec.ValidationError:
            logger.warning("the stored setting {} cannot be read; its default is used", field.name)
    return Settings(**known)


def _check_servers(servers: list[Server]) -> None:
    ids = [server.id for server in servers]
    taken = {"openai", "anthropic", "device"}
    for id in ids:
        if id in taken:
            raise InvalidRequest(f"The id {id!r} is taken.", hint="Give each server an id of its own.")
        taken.add(id)


def _check_fields(fields: list[Field]) -> None:
    taken = set(BUILT_IN)
    for field in fields:
        if field.name in taken:
            raise InvalidRequest(
                f"The field {field.name!r} is there already.", hint="Give each field a name of its own."
            )
        taken.add(field.name)
