"""What goes on while torture.py kills the program. An activity is one function that does something again and
again, and tells the journal what was acknowledged."""

from __future__ import annotations

import hashlib
import itertools
import json
import random
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from torture_checks import Facts, Journal
from torture_program import Program


class Worker:
    """What an activity gets: the program, the journal, and chance."""

    def __init__(self, name: str, program: Program, journal: Journal, seed: str, folder: Path) -> None:
        self.name = name
        self.folder = folder
        """For files of its own."""
        self.random = random.Random(f"{seed} {name}")
        self._program = program
        self._journal = journal

    def call(self, command: str, params: Any = None) -> Any:
        """The data of a command's answer. Raises Gone."""
        return self._program.call(command, params)

    def upload(self, name: str, content: bytes, conversation: int) -> Any:
        return self._program.upload(name, content, conversation)

    def told(self, key: str, sql: str, *values: Any, is_: tuple[Any, ...] | None) -> None:
        """The program has said that this is so."""
        self._journal.write(self.name, key, sql, *values, is_=is_)

    def withdraw(self, prefix: str) -> None:
        """From here on nobody knows."""
        self._journal.withdraw(prefix)

    def facts(self) -> Facts:
        """All that is so now, as far as the program has said."""
        return self._journal.now()

    def backed_up(self, name: str, before: Facts) -> None:
        self._journal.backed_up(self.name, name, before)

    def offer(self, file: Path) -> str:
        return self._program.offer(file)

    def ask(self, text: str, conversation: int | None = None) -> Any:
        started = self.call("runs.start", {"text": text, "conversation_id": conversation})
        self._told_of(started, text)
        return started

    def _told_of(self, started: Any, text: str) -> None:
        conversation, question = started["conversation"]["id"], started["question"]["id"]
        key = f"conversation {conversation} "
        self.told(f"{key}question {question}", TEXT, question, is_=(text,))
        self.told(f"{key}reply {started['reply']['id']}", MESSAGE, started["reply"]["id"], is_=(question,))

    def finished(self, conversation: int, reply: int) -> str:
        """The text of a reply, once nothing runs in its conversation any more."""
        while self.call("conversations.get", {"id": conversation})["is_running"]:
            time.sleep(0.02)
        page = self.call("messages.page", {"conversation_id": conversation})
        (message,) = [message for message in page["messages"] if message["id"] == reply]
        assert message["status"] != "streaming", message["status"]
        return "".join(part["text"] for part in message["parts"] if part["kind"] == "text")


TEXT = "select text from message_part where message = ? and position = 0"
MESSAGE = "select parent from message where id = ?"


def stream(worker: Worker) -> None:
    """Ask, and read the answer to its end; what was read is there."""
    conversation = None
    for n in itertools.count():
        started = worker.ask(f"Tell me {n} stories, {worker.random.random()}", conversation)
        conversation = started["conversation"]["id"]
        reply = started["reply"]["id"]
        said = worker.finished(conversation, reply)
        worker.told(f"conversation {conversation} said {reply}", TEXT, reply, is_=(said,))
        if worker.random.random() < 0.2:
            conversation = None


def stop(worker: Worker) -> None:
    """Ask, and stop the answer in the middle."""
    while True:
        started = worker.ask(f"Begin {worker.random.random()}")
        time.sleep(worker.random.uniform(0, 0.2))
        reply = started["reply"]["id"]
        worker.call("runs.stop", {"message_id": reply})
        said = worker.finished(started["conversation"]["id"], reply)
        worker.told(
            f"conversation {started['conversation']['id']} stopped {reply}",
            "select status = 'streaming', coalesce((select text from message_part where message = ?1), '') "
            "from message where id = ?1",
            reply,
            is_=(0, said),
        )


def edit(worker: Worker) -> None:
    """Ask in other words, fork, and switch between versions."""
    started = worker.ask(f"First {worker.random.random()}")
    conversation = started["conversation"]["id"]
    worker.finished(conversation, started["reply"]["id"])
    head = "select head from conversation where id = ?"
    while True:
        worker.withdraw(f"conversation {conversation} head")
        text = f"Again {worker.random.random()}"
        again = worker.call("runs.ask_instead", {"message_id": started["question"]["id"], "text": text})
        worker._told_of(again, text)
        worker.finished(conversation, again["reply"]["id"])
        fork = worker.call("conversations.fork", {"message_id": again["reply"]["id"]})
        worker.told(
            f"conversation {fork['id']} fork",
            "select count(*), sum(is_shown) from message where conversation = ?",
            fork["id"],
            is_=(2, 2),
        )
        worker.call("messages.show_version", {"message_id": started["question"]["id"]})
        worker.told(f"conversation {conversation} head", head, conversation, is_=(started["reply"]["id"],))


def trash(worker: Worker) -> None:
    """Delete, restore, purge."""
    # The number of one that was purged can be given to the next that begins; the title is its own.
    deleted = "select deleted_ms is not null from conversation where id = ? and title = ?"
    while True:
        started = worker.ask(f"Throw this away {worker.random.random()}")
        id, title = started["conversation"]["id"], started["conversation"]["title"]
        worker.finished(id, started["reply"]["id"])
        worker.withdraw(f"conversation {id} ")
        worker.call("conversations.delete", {"ids": [id]})
        worker.told(f"conversation {id} deleted", deleted, id, title, is_=(1,))
        worker.withdraw(f"conversation {id} ")
        if worker.random.random() < 0.5:
            worker.call("conversations.restore", {"ids": [id]})
            worker.told(f"conversation {id} deleted", deleted, id, title, is_=(0,))
        else:
            worker.call("conversations.purge", {"ids": [id]})
            worker.told(f"conversation {id} deleted", deleted, id, title, is_=None)


def attach(worker: Worker) -> None:
    """Put files to what is being typed, take some off, send the others."""
    there = "select sha256 from attachment join stored_file on stored_file.id = file where name = ?"
    started = worker.ask(f"Read these {worker.random.random()}")
    conversation = started["conversation"]["id"]
    worker.finished(conversation, started["reply"]["id"])
    for n in itertools.count():
        content = worker.random.randbytes(worker.random.choice([10, 5_000, 400_000]))
        name = f"file {worker.random.random()}.bin"
        row = worker.upload(name, content, conversation)
        worker.told(f"attachment {name}", there, name, is_=(hashlib.sha256(content).hexdigest(),))
        if worker.random.random() < 0.4:
            worker.withdraw(f"attachment {name}")
            worker.call("attachments.detach", {"id": row["id"]})
            worker.told(f"attachment {name}", there, name, is_=None)
        if n % 8 == 7:
            started = worker.ask(f"Now read them {worker.random.random()}", conversation)
            worker.finished(conversation, started["reply"]["id"])


def sort(worker: Worker) -> None:
    """Rename, pin, type a draft."""
    started = worker.ask(f"Sort me {worker.random.random()}")
    id = started["conversation"]["id"]
    while True:
        title, draft = f"Title {worker.random.random()}", f"Draft {worker.random.random()}"
        worker.withdraw(f"conversation {id} title")
        time.sleep(0.02)  # the others want to get on
        worker.call("conversations.rename", {"id": id, "title": title})
        worker.told(
            f"conversation {id} title", "select title from conversation where id = ?", id, is_=(title,)
        )
        worker.withdraw(f"conversation {id} draft")
        worker.call("conversations.save_draft", {"id": id, "text": draft})
        worker.told(
            f"conversation {id} draft", "select draft from conversation where id = ?", id, is_=(draft,)
        )


def bring(worker: Worker) -> None:
    """Import conversations of another program, some with a file."""
    whole = (
        "select count(message.id), count(attachment.id) from conversation "
        "join message on message.conversation = conversation.id "
        "left join attachment on attachment.message = message.id where title = ?"
    )
    for n in itertools.count():
        chats = [_chat(worker.random) for _ in range(worker.random.choice([1, 3, 20]))]
        file = worker.folder / f"conversations {n}.json"
        file.write_text(json.dumps(chats), "utf-8")
        ticket = worker.offer(file)
        _ended(worker, worker.call("transfers.look", {"ticket": ticket, "program": "claude"}), "looked")
        _ended(worker, worker.call("transfers.import_"), "done")
        worker.call("transfers.put_away")
        for chat in chats:
            messages = chat["chat_messages"]
            files = sum(len(message["attachments"]) for message in messages)
            worker.told(f"import {chat['uuid']}", whole, chat["name"], is_=(len(messages), files))
        time.sleep(worker.random.uniform(0, 0.3))


def _chat(random_: random.Random) -> dict[str, Any]:
    """A conversation as Claude exports it. Its title says how many messages it has."""
    count = 2 * random_.randint(1, 6)
    at = "2025-03-01T12:00:00Z"
    messages = [
        {
            "uuid": f"{random_.random()}",
            "sender": "assistant" if n % 2 else "human",
            "text": "",
            "content": [{"type": "text", "text": f"Message {n} {random_.random()}"}],
            "created_at": at,
            "updated_at": at,
            "attachments": [],
            "files": [],
        }
        for n in range(count)
    ]
    if random_.random() < 0.3:
        text = f"What is in it {random_.random()}"
        messages[0]["attachments"] = [{"file_name": "notes.txt", "extracted_content": text}]
    return {
        "uuid": f"{random_.random()}",
        "name": f"Imported {count} {random_.random()}",
        "created_at": at,
        "updated_at": at,
        "chat_messages": messages,
    }


def _ended(worker: Worker, transfer: Any, state: str) -> None:
    while transfer["state"] in ("looking", "working"):
        time.sleep(0.02)
        transfer = worker.call("transfers.current")
    assert transfer["state"] == state, transfer


def back_up(worker: Worker) -> None:
    """Back everything up, as each day and on demand."""
    while True:
        before = worker.facts()
        worker.call("backups.make", {})
        found = worker.call("backups.list")["backups"]
        worker.backed_up(next(backup["name"] for backup in found if backup["kind"] == "manual"), before)
        time.sleep(worker.random.uniform(0, 0.5))


ACTIVITIES: list[Callable[[Worker], None]] = [stream, stop, edit, trash, attach, sort, bring, back_up]
