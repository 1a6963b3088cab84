"""What the desktop is told of runs while nobody looks at the window: a notification at the end of a run or
when it waits for the user, and how many are under way, for the tray.

What of a conversation a notification may show is the user's choice: it can be read over their shoulder, or on
a locked screen.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from deskside.backend.events import ConversationChanged, ConversationDeleted, MessageChanged, SettingsChanged
from deskside.backend.store.messages import TextPart
from deskside.shell.notifications import Notification, Notifier
from deskside.shell.tray import Activity

if TYPE_CHECKING:
    from deskside.backend.app import App
    from deskside.backend.events import AppEvent
    from deskside.backend.settings import Settings
    from deskside.backend.store.conversations import ConversationRow
    from deskside.backend.store.messages import MessageRow

AT_ONCE = 1000
LONGEST_EXCERPT = 200
# Those that ended because somebody wanted it so are no news to them.
HEADINGS = {"complete": "The answer is there", "failed": "The answer failed"}
WAITS = "Deskside waits for you"


class Attention:
    """Follows what the backend tells; `follow` runs on its loop."""

    def __init__(
        self,
        app: App,
        notifier: Notifier | None,
        is_in_front: Callable[[], bool],
        tell_activity: Callable[[Activity], None],
        tell_settings: Callable[[Settings], None],
    ) -> None:
        """`tell_activity` is called on the backend's loop at each change, `tell_settings` also at first."""
        self._app = app
        self._notifier = notifier
        self._is_in_front = is_in_front
        self._tell_activity = tell_activity
        self._tell_settings = tell_settings
        self._running: set[int] = set()
        self._waiting: set[int] = set()
        self._ended: dict[int, MessageRow] = {}
        self._activity = Activity()

    async def follow(self) -> None:
        """Until cancelled."""
        events = self._app.events
        number = events.last
        self._tell_settings(self._app.settings.current)
        while True:
            await events.wait_beyond(number)
            news = events.since(number, AT_ONCE)
            if news is None:  # too many for us: what comes next is whole again
                number = events.last
                continue
            number += len(news)
            for event in news:
                await self._take(event)

    async def _take(self, event: AppEvent) -> None:
        if isinstance(event, MessageChanged):
            message = event.message
            if message.role == "assistant" and message.delegator_id is None:
                self._ended[message.conversation_id] = message
        elif isinstance(event, SettingsChanged):
            self._tell_settings(event.settings)
        elif isinstance(event, ConversationDeleted):
            self._running.discard(event.conversation_id)
            self._waiting.discard(event.conversation_id)
            self._tell()
        elif isinstance(event, ConversationChanged):
            notification = self._news_of(event.conversation)
            self._tell()
            if notification is not None and not self._is_in_front() and self._notifier is not None:
                await self._notifier.show(notification)

    def _news_of(self, row: ConversationRow) -> Notification | None:
        """Remember how it is now; what there is to say if it has just ended, or come to wait."""
        has_ended = row.id in self._running and not row.is_running
        begins_to_wait = row.is_waiting and row.id not in self._waiting
        _set(self._running, row.id, row.is_running)
        _set(self._waiting, row.id, row.is_waiting)
        message = None if row.is_running else self._ended.pop(row.id, None)
        settings = self._app.settings.current
        if not settings.notifies:
            return None
        if begins_to_wait:
            return Notification(row.id, WAITS, _title(row, settings))
        if not has_ended or message is None or message.status not in HEADINGS:
            return None
        return Notification(row.id, HEADINGS[message.status], _body(row, message, settings))

    def _tell(self) -> None:
        activity = Activity(len(self._running - self._waiting), len(self._waiting))
        if activity != self._activity:
            self._activity = activity
            self._tell_activity(activity)


def _set(ids: set[int], id: int, is_in: bool) -> None:
    if is_in:
        ids.add(id)
    else:
        ids.discard(id)


def _title(row: ConversationRow, settings: Settings) -> str:
    return "" if settings.notification_text == "nothing" else row.title


def _body(row: ConversationRow, message: MessageRow, settings: Settings) -> str:
    if settings.notification_text != "answer":
        return _title(row, settings)
    if message.error is not None:
        said = message.error.message
    else:
        texts = [part.text for part in message.parts if isinstance(part, TextPart)]
        said = " ".join(texts[-1].split()) if texts else ""
    excerpt = said if len(said) <= LONGEST_EXCERPT else f"{said[:LONGEST_EXCERPT].rstrip()}…"
    return f"{row.title}\n{excerpt}".strip()
