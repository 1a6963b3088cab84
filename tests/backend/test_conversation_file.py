"""Our own document: what is exported, imported into an empty store and exported again is the same
document."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable
from pathlib import Path

import jsonschema
import msgspec
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from deskside.backend.exchange.conversation_file import (
    ConversationsFile,
    FileApproval,
    FileConversation,
    FileFolder,
    FileFork,
    FileMessage,
    FileModelCall,
    FilePart,
    FilePause,
    FileRun,
    FileToolCall,
)
from deskside.backend.store.messages import (
    MessageError,
    MessageUsage,
    NotePart,
    ReasoningPart,
    TextPart,
    UserPart,
)
from transfers import opened, run

SCHEMA = json.loads(
    (Path(__file__).parents[2] / "build" / "schemas" / "conversations-1.json").read_text("utf-8")
)

# Anything that JSON can hold: combining marks, right-to-left, emoji, NUL, tags, private characters.
texts = st.text(max_size=40) | st.sampled_from(
    [
        "مرحبا بالعالم",
        "👩‍👩‍👧‍👦🏴󠁧󠁢󠁥󠁮󠁧󠁿",
        "e\u0301\u200f\u202e",
        "\0\x01\x7f",
        "日本語のテキスト",
        "a\r\nb\n",
        "<script>",
        "'; drop table",
    ]
)
names = st.sampled_from(["assistant", "critic", "writer-2"])
models = st.none() | st.sampled_from(["openai/gpt-x", "local/llama:8b"])
whole = st.integers(0, 2**53 - 1)
times = st.integers(0, 4_000_000_000_000)
short = st.sampled_from(["Work", "Holidays 🏖", "عمل", "a b"])
costs = st.just({}) | st.fixed_dictionaries({"cost_nano_usd": whole, "is_billed": st.booleans()})
json_objects = st.dictionaries(st.text(max_size=5), st.integers(-5, 5) | st.text(max_size=5), max_size=2)
approvals = st.builds(
    FileApproval,
    reasons=st.lists(texts, max_size=2),
    effect=st.sampled_from(["read", "write", "send", "execute"]),
    summary=texts,
    diff=texts,
    outside=st.lists(texts, max_size=2),
    asked_ms=whole,
    decision=st.sampled_from(["", "approved", "denied"]),
    reason=texts,
    arguments_before=st.none() | texts,
    decided_ms=whole,
)
contents = st.one_of(
    st.builds(TextPart, texts),
    st.builds(ReasoningPart, texts),
    st.builds(UserPart, texts),
    st.builds(
        FileToolCall,
        call_id=texts,
        name=texts,
        arguments=texts,
        status=st.sampled_from(["finished", "failed"]),
        output=texts,
        duration_ms=whole,
        origin=st.sampled_from(["tool", "agent", "store", "file", "web", "user_tool", "mcp"]),
        source=texts,
        hidden_characters=whole,
        approval=st.none() | approvals,
        is_agent=st.booleans(),
    ),
    st.builds(
        NotePart,
        what=st.sampled_from(["retried", "fell_back", "trimmed", "compacted", "repaired", "limit"]),
        text=texts,
        detail=texts,
        kept=st.integers(0, 9),
    ),
    st.builds(FilePause, text=texts, status=st.sampled_from(["went_on", "stopped"]), asked_ms=whole),
)
usages = st.none() | st.builds(MessageUsage, whole, whole, whole, whole, whole)
errors = st.none() | st.builds(MessageError, texts, texts, texts, st.booleans())


@st.composite
def conversation(draw: st.DrawFn, number: int, call_ids: Callable[[], str]) -> FileConversation:
    made: list[FileMessage] = []
    runs = 0
    for id in range(1, draw(st.integers(0, 7)) + 1):
        on_path = [each for each in made if each.delegator is None]
        replies = [each for each in on_path if each.role == "assistant"]
        delegator = draw(st.sampled_from(replies)) if replies and draw(st.integers(0, 4)) == 0 else None
        is_user = delegator is None and draw(st.booleans())
        own_runs = []
        for _ in range(0 if is_user else draw(st.integers(0, 2))):
            runs += 1
            own_runs.append(
                FileRun(
                    id=runs,
                    agent=draw(st.none() | names),
                    model="openai/gpt-x",
                    status=draw(st.sampled_from(["complete", "interrupted", "stopped", "failed"])),
                    reason=draw(st.none() | texts),
                    request_id=draw(texts),
                    started_ms=draw(times),
                    finished_ms=draw(st.none() | times),
                    parent=draw(st.none() | st.integers(1, runs - 1)) if runs > 1 else None,
                    calls=[
                        FileModelCall(
                            call_id=call_ids(),
                            model="openai/gpt-x",
                            input_tokens=draw(whole),
                            output_tokens=draw(whole),
                            **draw(costs),
                            price=draw(st.none() | json_objects),
                            at_ms=draw(times),
                            agent=draw(st.none() | names),
                        )
                        for _ in range(draw(st.integers(0, 2)))
                    ],
                )
            )
        parts = draw(st.lists(contents, max_size=4))
        above = [None, *(each.id for each in on_path)] if delegator is None else [None]
        statuses = ["complete"] if is_user else ["complete", "interrupted", "stopped", "failed"]
        made.append(
            FileMessage(
                id=id,
                parent=draw(st.sampled_from(above)),
                role="user" if is_user else "assistant",
                status=draw(st.sampled_from(statuses)),
                agent=None if is_user else draw(st.none() | names),
                model=draw(models),
                error=draw(errors),
                usage=draw(usages),
                created_ms=draw(times),
                finished_ms=draw(st.none() | times),
                delegator=None if delegator is None else delegator.id,
                call_position=None if delegator is None else draw(st.integers(0, 3)),
                parts=[
                    FilePart(
                        position=place,
                        step=place // 2,
                        content=content,
                        provider_data=draw(st.none() | texts),
                        model=draw(models),
                    )
                    for place, content in enumerate(parts)
                ],
                runs=own_runs,
            )
        )
    on_path = [each.id for each in made if each.delegator is None]
    return FileConversation(
        id=number,
        title=draw(short),
        titled_by=draw(st.sampled_from(["start", "model", "user"])),
        agent=draw(st.none() | names),
        model=draw(models),
        draft=draw(texts),
        created_ms=number * 10**9 + draw(st.integers(0, 9)),  # of two that are the same, one would come
        updated_ms=draw(times),
        folder=draw(st.none() | short),
        tags=sorted(draw(st.sets(short, max_size=3))),
        pinned_ms=draw(st.none() | times),
        archived_ms=draw(st.none() | times),
        shown=draw(st.sampled_from(on_path)) if on_path else None,
        messages=made,
    )


@st.composite
def documents(draw: st.DrawFn) -> ConversationsFile:
    calls = iter(range(10_000))
    found = [
        draw(conversation(number, lambda: f"call-{next(calls)}"))
        for number in range(1, draw(st.integers(1, 3)) + 1)
    ]
    first = found[0]
    if len(found) > 1 and first.messages and draw(st.booleans()):
        fork = FileFork(1, draw(st.integers(1, len(first.messages))))
        found[-1] = msgspec.structs.replace(found[-1], forked_from=fork)
    used = sorted({each.folder for each in found if each.folder is not None})
    folders = [
        FileFolder(name=name, position=place, created_ms=draw(times))
        for place, name in enumerate(draw(st.permutations(used)))
    ]
    return ConversationsFile(format="deskside-conversations", version=1, folders=folders, conversations=found)


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(documents(), st.sampled_from(["json", "zip"]))
def test_what_is_imported_and_exported_again_is_the_same_document(
    document: ConversationsFile, ending: str
) -> None:
    async def there_and_back(folder: Path) -> bytes:
        (folder / "one.json").write_bytes(msgspec.json.encode(document))
        async with opened(folder / "a") as home:
            first = await home.bring(folder / "one.json")
            await home.carry_out(folder / f"two.{ending}")
        async with opened(folder / "b") as home:
            second = await home.bring(folder / f"two.{ending}")
            await home.carry_out(folder / "three.json")

        assert (len(document.conversations), []) == (first.counts.conversations, first.skipped)
        assert first.counts == second.counts
        return (folder / "three.json").read_bytes()

    with tempfile.TemporaryDirectory() as folder:
        came_back = run(there_and_back(Path(folder)))

    assert document == msgspec.json.decode(came_back, type=ConversationsFile)
    jsonschema.validate(json.loads(came_back), SCHEMA)
