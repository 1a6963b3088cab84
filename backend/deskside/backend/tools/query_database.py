"""Questions about the user's own store, in SQL: the guards are in store/guarded_query.py."""

from __future__ import annotations

import asyncio
import threading
from typing import Annotated

import msgspec

from deskside.backend.store.guarded_query import LIMITS, Answer, query
from deskside.backend.tools.context import ToolContext
from deskside.backend.tools.declaration import ToolOutput, tool

Sql = Annotated[str, msgspec.Meta(min_length=1, max_length=LIMITS.sql_characters)]


@tool(approval="never", time_limit_s=10)
async def query_database(context: ToolContext, sql: Sql) -> ToolOutput:
    """Ask the user's own Deskside database one SQLite SELECT: conversations, usage, costs, memories.

    Only these views can be read (times are local text such as "2026-11-25 14:30:00"):
    conversations(id, title, model, agent, created_at, updated_at)
    messages(id, conversation_id, role, status, model, text, created_at): role is 'user' or 'assistant'
    tool_calls(message_id, tool, status, duration_ms, created_at)
    runs(id, conversation_id, message_id, agent, model, status, reason, started_at, seconds)
    usage(run_id, provider, model, agent, input_tokens, cache_read_tokens, cache_write_tokens, output_tokens,
    reasoning_tokens, cost_usd, cost_state, used_at): one row a model call; cost_usd is null where cost_state
    is 'unknown', otherwise 'billed' by the provider or 'estimated' from its prices
    agents(name, label, instructions, model)
    tools(name, kind, description, is_enabled)
    memories(id, text, conversation_id, created_at)
    At most 200 rows come back and long texts are cut: aggregate in SQL, and select only what you need. To
    look for words in conversations use search_conversations. Nothing can be changed.
    """
    stopped = threading.Event()
    try:
        answer = await asyncio.to_thread(query, context.store.path, sql, is_stopped=stopped.is_set)
    finally:
        stopped.set()  # also when the call was cancelled: the thread then ends within a moment
    return ToolOutput(_written(answer), origin="store", source="your conversations")


def _written(answer: Answer) -> str:
    """A line of JSON a row: names and values stay apart whatever they hold."""
    lines = [msgspec.json.encode(row).decode() for row in ([*answer.columns], *answer.rows)]
    if answer.has_more:
        lines.append(f"… only the first {len(answer.rows)} rows are shown; narrow the query or aggregate.")
    elif not answer.rows:
        lines.append("(no rows)")
    return "\n".join(lines)
