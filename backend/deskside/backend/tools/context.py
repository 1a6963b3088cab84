"""What a tool may use of the program while one call of it runs."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from deskside.backend.metrics.timings import Timings

if TYPE_CHECKING:
    from deskside.backend.event_buffer import EventBuffer
    from deskside.backend.paths import Paths
    from deskside.backend.settings import SettingsStore
    from deskside.backend.store.database import Store
    from deskside.backend.store.messages import Elicitation, ElicitationAnswer
    from deskside.backend.tools.sandbox import Sandbox
    from deskside.backend.tools.web import Web
    from deskside.backend.written_files import WrittenFiles


@dataclass(frozen=True)
class ToolServices:
    """The parts of the program that tools use. One for the whole program. `timings` says how long
    the calls of each tool took."""

    store: Store
    settings: SettingsStore
    paths: Paths
    sandbox: Sandbox
    web: Web
    events: EventBuffer
    files: WrittenFiles
    timings: Timings = field(default_factory=Timings)


@dataclass(frozen=True)
class ToolContext:
    """One call: what it may use, and whom it runs for.

    `conversation_id`, `message_id` (the reply), `run_id` and `agent_id` are rows of the store; `call_id` is
    the model's own id of the call. `is_tainted` says that text from outside is in the run. `elicit` asks the
    user something in the middle of the call; None where nobody can be asked.
    """

    services: ToolServices
    conversation_id: int
    message_id: int
    run_id: int
    agent_id: int | None
    call_id: str
    is_tainted: bool = False
    elicit: Callable[[Elicitation], Awaitable[ElicitationAnswer]] | None = None

    @property
    def store(self) -> Store:
        return self.services.store

    @property
    def settings(self) -> SettingsStore:
        return self.services.settings

    @property
    def paths(self) -> Paths:
        return self.services.paths

    @property
    def web(self) -> Web:
        return self.services.web

    @property
    def events(self) -> EventBuffer:
        return self.services.events

    @property
    def files(self) -> WrittenFiles:
        return self.services.files
