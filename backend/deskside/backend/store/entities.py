# mypy: allow-subclassing-any
"""The tables as Pony sees them: columns and nothing else.

The SQL files in migrations/ own the schema; a column that is here and not there stops the program at its
start, and a test compares the two the other way round. References are plain ids: functions return structs
and never walk from entity to entity, so Pony's relations (and the reverse sets that they demand) would
only be a way to load rows one by one.

Every text has `autostrip=False`, because Pony would trim what the user typed, and every integer 64 bits.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from pony.orm import Database, Optional, PrimaryKey, Required, buffer

# Pony calls a text that may not be empty required.
Text = partial(Required, str, autostrip=False)
TextOrEmpty = partial(Optional, str, autostrip=False)
TextOrNull = partial(Optional, str, autostrip=False, nullable=True)
Integer = partial(Required, int, size=64)
IntegerOrNull = partial(Optional, int, size=64)
Bytes = partial(Required, buffer)
BytesOrNull = partial(Optional, buffer, nullable=True)
Flag = partial(Required, bool)
Id = partial(PrimaryKey, int, auto=True, size=64)


def define_entities(db: Database) -> None:
    """Define all entities for one database file. A process may open several."""
    Entity: Any = db.Entity

    class User(Entity):
        _table_ = "user"
        id = Id()
        name = TextOrEmpty()
        theme = Text()
        language = Text()
        created_ms = Integer()

    class Setting(Entity):
        _table_ = "setting"
        name = PrimaryKey(str, autostrip=False)
        value = Text()
        changed_ms = Integer()

    class ApiKey(Entity):
        _table_ = "api_key"
        provider = PrimaryKey(str, autostrip=False)
        label = TextOrEmpty()
        last_four = TextOrEmpty()
        source = Text()
        created_ms = Integer()
        last_used_ms = IntegerOrNull()
        address = TextOrNull()

    class McpServer(Entity):
        _table_ = "mcp_server"
        id = Id()
        name = Text()
        transport = Text()
        command = TextOrEmpty()
        arguments = Text()
        url = TextOrEmpty()
        is_enabled = Flag()
        created_ms = Integer()
        updated_ms = Integer()
        environment = Text(default="[]")
        headers = Text(default="[]")
        secret_prefix = TextOrEmpty()
        sign_in = TextOrNull()

    class Prompt(Entity):
        _table_ = "prompt"
        id = Id()
        name = Text()
        text = TextOrEmpty()
        created_ms = Integer()
        updated_ms = Integer()

    class Agent(Entity):
        _table_ = "agent"
        id = Id()
        name = Text()
        label = TextOrEmpty()
        instructions = TextOrEmpty()
        model = TextOrNull()
        temperature = Optional(float)
        step_limit = Integer()
        icon = TextOrEmpty()
        fallback_models = Text(default="[]")
        max_output_tokens = IntegerOrNull()
        reasoning_effort = TextOrNull()
        output_schema = TextOrNull()
        tools = TextOrNull()
        subagents = Text(default="[]")
        limits = Text(default="{}")
        is_active = Flag(default=True)
        created_ms = Integer()
        updated_ms = Integer()
        deleted_ms = IntegerOrNull()

    class ToolGrant(Entity):
        _table_ = "tool_grant"
        agent = Integer()
        tool = Text()
        created_ms = Integer()
        PrimaryKey(agent, tool)

    class Tool(Entity):
        _table_ = "tool"
        id = Id()
        name = Text()
        kind = Text()
        description = TextOrEmpty()
        parameters = Text()
        source = TextOrNull()
        mcp_server = IntegerOrNull()
        approval = Text()
        is_enabled = Flag()
        effect = Text(default="execute")
        category = TextOrEmpty()
        capabilities = Text(default="[]")
        created_ms = Integer()
        updated_ms = Integer()
        remote_name = TextOrNull()
        accepted = TextOrNull()
        offered = TextOrNull()
        is_offered = Flag(default=True)

    class Conversation(Entity):
        _table_ = "conversation"
        id = Id()
        user = Integer()
        agent = IntegerOrNull()
        title = Text()
        model = TextOrNull()
        draft = TextOrEmpty()
        head = IntegerOrNull()
        created_ms = Integer()
        updated_ms = Integer()
        deleted_ms = IntegerOrNull()
        folder = IntegerOrNull()
        pinned_ms = IntegerOrNull()
        archived_ms = IntegerOrNull()
        forked_from = IntegerOrNull()
        titled_by = Text(default="start")
        source_sha256 = TextOrNull()
        source_id = TextOrNull()
        source_messages = IntegerOrNull()

    class Folder(Entity):
        _table_ = "folder"
        id = Id()
        name = Text()
        position = Integer()
        created_ms = Integer()

    class Tag(Entity):
        _table_ = "tag"
        id = Id()
        name = Text()

    class ConversationTag(Entity):
        _table_ = "conversation_tag"
        conversation = Integer()
        tag = Integer()
        PrimaryKey(conversation, tag)

    class Message(Entity):
        _table_ = "message"
        id = Id()
        conversation = Integer()
        parent = IntegerOrNull()
        role = Text()
        status = Text()
        model = TextOrNull()
        error = TextOrNull()
        usage = TextOrNull()
        created_ms = Integer()
        finished_ms = IntegerOrNull()
        delegator = IntegerOrNull()
        call_position = IntegerOrNull()
        depth = Integer(default=0)
        is_shown = Flag(default=False)
        agent = IntegerOrNull()

    class MessagePart(Entity):
        _table_ = "message_part"
        id = Id()
        message = Integer()
        position = Integer()
        step = Integer()
        kind = Text()
        text = TextOrEmpty()
        data = TextOrNull()
        provider_data = TextOrNull()
        origin = Text()
        model = TextOrNull()

    class MessageChunk(Entity):
        _table_ = "message_chunk"
        message = Integer()
        position = Integer()
        n = Integer()
        kind = Text()
        text = TextOrEmpty()
        PrimaryKey(message, position, n)

    class Steering(Entity):
        _table_ = "steering"
        id = Id()
        message = Integer()
        text = TextOrEmpty()
        created_ms = Integer()

    class StoredFile(Entity):
        _table_ = "stored_file"
        id = Id()
        sha256 = Text()
        size_bytes = Integer()
        media_type = Text()
        text = TextOrNull()
        text_status = Text()
        text_error = TextOrEmpty()
        hidden_characters = Integer()
        created_ms = Integer()

    class Attachment(Entity):
        _table_ = "attachment"
        id = Id()
        conversation = IntegerOrNull()
        message = IntegerOrNull()
        position = Integer()
        name = Text()
        file = Integer()
        created_ms = Integer()

    class Run(Entity):
        _table_ = "run"
        id = Id()
        conversation = Integer()
        message = Integer()
        agent = IntegerOrNull()
        model = Text()
        status = Text()
        reason = TextOrNull()
        request_id = TextOrEmpty()
        started_ms = Integer()
        finished_ms = IntegerOrNull()
        parent = IntegerOrNull()

    class RunEvent(Entity):
        _table_ = "run_event"
        run = Integer()
        n = Integer()
        at_ms = Integer()
        kind = Text()
        data = TextOrEmpty()
        items = TextOrNull()
        packed = BytesOrNull()
        PrimaryKey(run, n)

    class RecordedItem(Entity):
        _table_ = "recorded_item"
        id = Id()
        sha256 = Bytes()
        data = Bytes()

    class UsageRecord(Entity):
        _table_ = "usage_record"
        id = Id()
        call_id = Text()
        run = IntegerOrNull()
        provider = Text()
        model = Text()
        input_tokens = Integer()
        cache_read_tokens = Integer()
        cache_write_tokens = Integer()
        output_tokens = Integer()
        reasoning_tokens = Integer()
        reported = Text()
        state = Text()
        cost_nano_usd = IntegerOrNull()
        price = TextOrNull()
        request_id = TextOrEmpty()
        at_ms = Integer()
        agent = IntegerOrNull()
        conversation = IntegerOrNull()

    class UsageConversation(Entity):
        _table_ = "usage_conversation"
        id = Id()
        conversation = IntegerOrNull()

    class Price(Entity):
        _table_ = "price"
        id = Id()
        model = Text()
        valid_from = Text()
        input = TextOrNull()
        cache_read = TextOrNull()
        cache_write = TextOrNull()
        output = TextOrNull()
        made_ms = Integer()

    class LimitChange(Entity):
        _table_ = "limit_change"
        id = Id()
        at_ms = Integer()
        agent = IntegerOrNull()
        limits = Text()

    class MetricBucket(Entity):
        _table_ = "metric_bucket"
        at_ms = PrimaryKey(int, size=64)
        data = Text()

    class ErrorLog(Entity):
        _table_ = "error_log"
        id = Id()
        at_ms = Integer()
        source = Text()
        code = Text()
        message = TextOrEmpty()
        place = TextOrEmpty()
        detail = TextOrEmpty()
        request_id = TextOrEmpty()
        fingerprint = TextOrEmpty()
        count = Integer()
        first_ms = Integer()
        version = TextOrEmpty()
        doing = TextOrEmpty()
        is_shown = Flag()
        earlier = Text()

    class NetworkUse(Entity):
        _table_ = "network_use"
        id = Id()
        at_ms = Integer()
        duration_ms = IntegerOrNull()
        host = Text()
        port = Integer()
        is_loopback = Flag()
        via = TextOrEmpty()
        purpose = Text()
        subject = TextOrEmpty()
        request_id = TextOrEmpty()
        sent_bytes = Integer()
        received_bytes = Integer()
        outcome = TextOrEmpty()

    class FileVersion(Entity):
        _table_ = "file_version"
        id = Id()
        path = Text()
        folder = Text()
        conversation = IntegerOrNull()
        message = IntegerOrNull()
        call_id = Text()
        before = BytesOrNull()
        existed = Flag()
        before_bytes = Integer()
        after_bytes = Integer()
        after_sha256 = Text()
        created_ms = Integer()
        undone_ms = IntegerOrNull()

    class Memory(Entity):
        _table_ = "memory"
        id = Id()
        text = Text()
        conversation = IntegerOrNull()
        run = IntegerOrNull()
        agent = IntegerOrNull()
        is_tainted = Flag()
        created_ms = Integer()
        updated_ms = Integer()
