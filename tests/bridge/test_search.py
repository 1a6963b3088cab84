"""Looking for something in the whole history, as the page does."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from deskside.backend.app import App, open_app
from deskside.backend.log import request_id
from deskside.backend.metrics.timings import Timings
from deskside.backend.store import conversation_search, conversations, messages, replies
from deskside.backend.store.connection import Db
from deskside.bridge.commands import COMMANDS
from deskside.bridge.desktop import NoDesktop
from deskside.bridge.registry import Bridge, Failure, Registry
from stores import answer, ask, finish, paths_in, say, talk


class Caller:
    def __init__(self, app: App) -> None:
        self.store = app.store
        self._bridge = Bridge(app, Registry(COMMANDS), NoDesktop(), Timings())

    async def __call__(self, command: str, /, **params: Any) -> Any:
        request_id.set("test")
        reply = await self._bridge.registry.dispatch(self._bridge, command, json.dumps(params).encode())
        return reply if isinstance(reply, Failure) else json.loads(bytes(reply))

    async def found(self, text: str, **params: Any) -> list[str]:
        """The snippets, with the hits in brackets."""
        return [written(message["snippet"]) for message in (await self.page(text, **params))["messages"]]

    async def page(self, text: str, **params: Any) -> dict[str, Any]:
        page = await self("search.find", text=text, **params)
        assert isinstance(page, dict), page
        return page


def written(pieces: list[dict[str, Any]]) -> str:
    return "".join(f"[{piece['text']}]" if piece["is_hit"] else piece["text"] for piece in pieces)


@pytest.fixture
async def call(tmp_path: Path) -> AsyncIterator[Caller]:
    async with open_app(paths_in(tmp_path)) as app:
        yield Caller(app)


# -- words ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "typed", "hit"),
    [
        ("Where are the plums?", "plums", "plums"),
        ("Where are the plums?", "PLU", "plums"),
        ("Where are the plums?", "plums where", "plums"),
        ("Where are the plums?", '"the plums"', "the plums"),
        ("Where are the plums?", '"the plu', "the plums"),
        ("Where are the plums?", "plu* are ", "plums"),
        ("我们明天去东京旅行", "东京", "东京"),
        ("我们明天去东京旅行", "京", "京"),
        ("我们明天去东京旅行", "去东京旅", "去东京旅"),
        ("我们明天去东京旅行", "旅行 明天", "旅行"),
        ("エラーの意味がわかりません", "意味", "意味"),
        ("エラーの意味がわかりません", "ラー", "ラー"),
        ("서울대학교에서 회의", "학교", "학교"),
        ("ขอสูตรแกงเขียวหวาน", "แกง", "แกง"),
        ("Die Größe der Straße", "grosse", "Größe"),
        ("Die Größe der Straße", "STRASSE", "Straße"),
        ("Le cafe\u0301 était fermé", "café", "cafe\u0301"),
        ("Где счёт?", "счет", "счёт"),
        ("عَقْد الإيجار", "عقد", "عَقْد"),
        ("The ＡＰＩ key", "api", "ＡＰＩ"),
        ("def parse_order(order_id):", "parse_order", "parse_order"),
        ("def parse_order(order_id):", "order", "order"),
        ("await fetchUserById(orderId)", "fetchuserbyid", "fetchUserById"),
        ("await fetchUserById(orderId)", "user", "User"),
        ("await fetchUserById(orderId)", "fetch_user", "fetchUser"),
        ("class HTTPServerError", "server", "Server"),
        ("call foo() first", "foo()", "foo"),
        ("x.parse_order_id(1)", "order_id", "order_id"),
        ("x.parse_order_id(1)", "order_id ", "order_id"),
        ("x.parse_order_id(1)", "parse_order_id()", "parse_order_id"),
        ("x.parse_order_id(1)", "parseOrder", "parse_order"),
        ("value = parseOrderId", "order_id", "OrderId"),
        ("self.cache.values.clear()", "values.cl", "values.clear"),
        ("self.cache.values.clear()", "cache.values ", "cache.values"),
        ("a.b.c.d.e.f.g.h.i.j", "c.d.e", "c.d.e"),
        ("__init__.py", "__init__", "init"),
        ("import os.path.join", "os.path", "os.path"),
        ("std::vector<int> v", "std::vector", "std::vector"),
        ("see https://example.org/plums", "https://example.org/plu", "https://example.org/plums"),
        ("invoice ACME-2231 paid", "acme-2231", "ACME-2231"),
        ("at 12:30 sharp", "12:30", "12:30"),
    ],
)
async def test_a_text_is_found_by_what_one_types(text: str, typed: str, hit: str, call: Caller) -> None:
    await talk(call.store, ("What else?", "Nothing."), (text, "Yes."))

    (found,) = await call.found(typed)

    assert f"[{hit}]" in found
    assert text == found.replace("[", "").replace("]", "")


@pytest.mark.parametrize(
    "typed",
    ["plum ", '"plums the"', "plums -where", 'plums -"are the"', "lums", "京东", "pl", "plums zebra", "…"],
)
async def test_a_text_is_not_found_by_what_it_does_not_say(typed: str, call: Caller) -> None:
    await talk(call.store, ("Where are the plums? 东京", "Eaten."))

    page = await call.page(typed)

    assert ([], 0, None) == (page["messages"], page["total"], page["next_cursor"])


@pytest.mark.parametrize(
    "typed",
    [
        "", " ", '"', '""', '"""', "*", "**", "a*b", "^a", "-", "--", "-a", '-"', "(",
        ")" * 400, "a AND", "OR", "NOT a",
        "NEAR(a b)", "NEAR/2", "text:a", "{text}:a", "a:b:c", ":", "::", "a:", "role:", "has:",
        "after:", 'in:"', "-in:",
        "'; drop table message --", "%", "_", "\\", "in:%", "agent:_", "model:\\", "\x00",
        "a\x00b", "\ud800", "\ufeff",
        "\u202e", "😀", "ａ", "ß", "é" * 500, "a " * 250, '"a" ' * 100, "after:0000-00-00",
        "after:2026-02-31",
        "before:9999999", "before:0001", "after:9999d", "has:has:has:", "is:",
        "a" * 500, "一" * 500, "\n\t\r",
        "rank", "match", "message_search", "+a", "a+b", "a + b", "[a]", "a..b", "=1", "1e309",
        "-1", "is:pinned is:archived",
    ],
)  # fmt: skip
async def test_any_text_is_a_query(typed: str, call: Caller) -> None:
    await talk(call.store, ("plums", "Eaten."))

    page = await call("search.find", text=typed.encode("utf-16", "surrogatepass").decode("utf-16", "replace"))

    assert not isinstance(page, Failure)
    assert all(isinstance(note, str) for note in page["notes"])


async def test_words_of_two_parts_of_an_answer_find_it_once(call: Caller) -> None:
    asked = await ask(call.store, "Where?")
    parts = [
        replies.StoredPart(n, 0, messages.TextPart(text))
        for n, text in enumerate(("In the icebox", "of plums"))
    ]
    await finish(call.store, asked, parts)

    assert ["In the [icebox]\nof [plums]"] == await call.found("plums icebox ")


async def test_a_snippet_is_the_lines_around_the_words(call: Caller) -> None:
    await talk(call.store, (f"{'before. ' * 100}\nThe plums\nare cold.\n{'after. ' * 100}", "Yes."))

    (found,) = await call.found("plums")

    assert ("…", "…") == (found[0], found[-1])
    assert "\nThe [plums]\nare cold.\n" in found
    assert 150 < len(found) < 250


# -- filters -------------------------------------------------------------------------------------


@pytest.fixture
async def history(call: Caller) -> Caller:
    """One conversation of each kind, all about plums."""
    call.plain = await talk(call.store, ("plums one", "plums answer"))  # type: ignore[attr-defined]
    code = await talk(call.store, ("plums two", "plums:\n```python\nprint()\n```"))
    tool = await ask(call.store, "plums three", code)
    called = messages.ToolCallPart("c1", "calculate", "{}", "finished", output="1")
    await finish(
        call.store,
        tool,
        [replies.StoredPart(0, 0, called), replies.StoredPart(1, 1, messages.TextPart("plums used"))],
    )
    await call.store.write(_fill, code, tool.question.id if tool.question else 0)
    return call


def _fill(db: Db, conversation: int, question: int) -> None:
    db.sql.execute("insert into folder (id, name, position, created_ms) values (1, 'Work_1 things', 0, 0)")
    db.sql.execute(
        "update conversation set folder = 1, pinned_ms = 1, archived_ms = 1 where id = ?", (conversation,)
    )
    db.sql.execute(
        "insert into stored_file (id, sha256, size_bytes, media_type, text_status, created_ms) "
        "values (1, ?, 1, 'text/plain', 'none', 0)",
        ("0" * 64,),
    )
    db.sql.execute(
        "insert into attachment (message, position, name, file, created_ms) values (?, 0, 'a.txt', 1, 0)",
        (question,),
    )
    # 2020-05-17, noon UTC.
    db.sql.execute("update message set created_ms = 1589716800000 where conversation <> ?", (conversation,))


@pytest.mark.parametrize(
    ("typed", "found"),
    [
        ("role:user", {"plums one", "plums two", "plums three"}),
        ("role:assistant plums", {"plums answer", "plums:\n```python\nprint()\n```", "plums used"}),
        ("-role:user", {"plums answer", "plums:\n```python\nprint()\n```", "plums used"}),
        ("has:code", {"plums:\n```python\nprint()\n```"}),
        ("has:tool plums", {"plums used"}),
        ("has:file", {"plums three"}),
        ("has:files plums", {"plums three"}),
        ("-has:code role:assistant", {"plums answer", "plums used"}),
        ("in:work_ role:user", {"plums two", "plums three"}),
        ('in:"1 things" role:user', {"plums two", "plums three"}),
        ("-in:work role:user", {"plums one"}),
        ("is:pinned role:user", {"plums two", "plums three"}),
        ("is:archived has:tool", {"plums used"}),
        ("-is:archived role:user", {"plums one"}),
        ("before:2021 role:user", {"plums one"}),
        ("after:2020-05-16 before:2020-05-19 role:user", {"plums one"}),
        ("before:2020-05-16", set()),
        ("after:2021 role:user", {"plums two", "plums three"}),
        ("after:yesterday role:user", {"plums two", "plums three"}),
        ("model:scripted has:tool", {"plums used"}),
        ("model:other", set()),
        ("agent:assist has:tool", {"plums used"}),
        ("plums -one -two role:user", {"plums three"}),
        ("-plums", set()),
        ("role:user -one", {"plums two", "plums three"}),
        ("ROLE:User one ", {"plums one"}),
    ],
)
async def test_filters_leave_what_they_say(typed: str, found: set[str], history: Caller) -> None:
    page = await history.page(typed)

    assert found == {re.sub(r"[][]", "", written(hit["snippet"])) for hit in page["messages"]}
    assert len(found) == page["total"]
    assert [] == page["notes"]


@pytest.mark.parametrize(
    ("typed", "note"),
    [
        ("has:video", "“has:” can be code, file or tool."),
        ("role:nobody plums", "“role:” can be user or assistant."),
        ("after:someday", "“after:” takes a day such as 2026-03-31"),
        ("before:2026-13", "“before:” takes a day"),
        ("form:pdf", "“form:” is no filter, so it is looked for as text."),
        ("agent:nobody", "There is no agent with “nobody” in its name."),
        ("in:nowhere plums", "There is no folder with “nowhere” in its name."),
        ("a b c d e f g h i j k l m", "Only the first 12 words are looked for."),
    ],
)
async def test_what_is_not_understood_is_said(typed: str, note: str, call: Caller) -> None:
    page = await call.page(typed)

    assert [True] == [each.startswith(note) for each in page["notes"]]


@pytest.mark.parametrize(
    "typed", ["agent:", "has:c", "https://a.b/", "std::vector", "12:30", "C:\\x", "role:u"]
)
async def test_what_is_no_filter_or_is_being_typed_is_not_remarked_on(typed: str, call: Caller) -> None:
    assert [] == (await call.page(typed))["notes"]


# -- what is found -------------------------------------------------------------------------------


async def test_a_deleted_conversation_is_found_again_once_it_is_restored(call: Caller) -> None:
    id = await talk(call.store, ("plums", "Eaten."))
    await call("conversations.delete", ids=[id])
    gone = await call.page("plums")
    await call("conversations.restore", ids=[id])
    back = await call.page("plums")

    assert ([], []) == (gone["messages"], gone["titles"])
    assert (1, 1) == (len(back["messages"]), len(back["titles"]))


async def test_an_archived_conversation_is_found_and_said_to_be(history: Caller) -> None:
    page = await history.page("plums")

    assert {True, False} == {hit["is_archived"] for hit in page["messages"]}
    assert {True, False} == {hit["is_archived"] for hit in page["titles"]}


async def test_an_answer_is_found_once_it_is_done(call: Caller) -> None:
    asked = await ask(call.store, "Where?")
    await say(call.store, asked, "In the icebox")
    assert [] == await call.found("icebox")
    assert ["Where?"] == await call.found("after:today")
    await answer(call.store, asked, "In the icebox")

    assert ["In the [icebox]"] == await call.found("icebox")


async def test_a_title_is_found_as_it_is_now(call: Caller) -> None:
    id = await talk(call.store, ("Hello", "Hi"))
    await call("conversations.rename", id=id, title="Rezepte für Pflaumenkuchen")

    (title,) = (await call.page("pflaumen"))["titles"]
    assert (id, "Rezepte für [Pflaumenkuchen]") == (title["conversation_id"], written(title["title"]))
    assert [] == (await call.page("Hello "))["titles"]
    assert [] == (await call.page("pflaumen role:user"))["titles"]


async def test_one_conversation_is_searched_by_itself(call: Caller) -> None:
    one = await talk(call.store, ("plums one", "Yes."))
    await talk(call.store, ("plums two", "Yes."))

    page = await call.page("plums", conversation_id=one)

    assert (["[plums] one"], 1, []) == (
        [written(hit["snippet"]) for hit in page["messages"]],
        page["total"],
        page["titles"],
    )


async def test_the_message_that_says_it_most_is_first_and_of_two_alike_the_newer(call: Caller) -> None:
    await talk(call.store, ("plums plums plums", "Yes."))
    await talk(call.store, (f"plums {'and much else ' * 30}", "Yes."))
    await talk(call.store, ("plums plums plums!", "Yes."))
    await call.store.write(
        lambda db: db.sql.execute("update message set created_ms = 0 where id = 1").rowcount
    )

    found = await call.found("plums ")

    assert ["[plums] [plums] [plums]!", "[plums] [plums] [plums]"] == found[:2]


# -- how much of it ------------------------------------------------------------------------------


@pytest.mark.parametrize("ranked", [5, 1000], ids=["the newest first", "the best first"])
async def test_pages_join_without_a_gap_or_a_repeat(
    ranked: int, call: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(conversation_search, "RANKED_HITS", ranked)
    monkeypatch.setattr(conversation_search, "SLICE", 2)
    for n in range(12):
        await talk(call.store, (f"plums {n}", "Eaten."))
    found: list[int] = []
    cursor = None
    totals = set()
    while True:
        page = await call.page("plums", limit=5, cursor=cursor)
        found += [hit["message_id"] for hit in page["messages"]]
        totals.add((page["total"], page["is_more"]))
        cursor = page["next_cursor"]
        if cursor is None:
            break

    assert 12 == len(found) == len(set(found))
    assert totals == ({(5, True)} if ranked == 5 else {(12, False)})
    if ranked == 5:
        assert found == sorted(found, reverse=True)


@pytest.mark.parametrize("typed", ["plums before:2000", "role:user has:tool", "-plums role:user"])
async def test_a_search_that_takes_too_long_says_how_far_it_got_and_goes_on(
    typed: str, call: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(conversation_search, "RANKED_HITS", 3)
    monkeypatch.setattr(conversation_search, "SLICE", 3)
    monkeypatch.setattr(conversation_search, "SEARCH_FOR_S", -1)
    await talk(call.store, ("plums one", "plums"), *((f"plums {n}", "plums") for n in range(8)))
    await call.store.write(
        lambda db: db.sql.execute("update message set created_ms = 0 where id = 1").rowcount
    )
    page = await call.page(typed)
    assert page["searched_back_to_ms"] is not None
    found = list(page["messages"])
    pages = 1
    while page["next_cursor"] is not None:
        page = await call.page(typed, cursor=page["next_cursor"])
        found += page["messages"]
        pages += 1

    assert pages > 3
    assert (["plums one"] if "2000" in typed else []) == [
        re.sub(r"[][]", "", written(hit["snippet"])) for hit in found
    ]


@pytest.mark.parametrize(
    "cursor", ["", "x", "r", "n1", "r1", "q1.1", "r-1.0", "r1.0.0", "n" + "9" * 30 + ".1"]
)
async def test_a_cursor_that_is_not_ours_is_refused(cursor: str, call: Caller) -> None:
    refused = await call("search.find", text="plums", cursor=cursor)

    assert isinstance(refused, Failure)


# -- going there ---------------------------------------------------------------------------------


async def test_a_message_opens_in_the_middle_of_its_page(call: Caller) -> None:
    id = await talk(call.store, *((f"question {n}", f"answer {n}") for n in range(60)))
    (hit,) = (await call.page('"question 20" '))["messages"]

    place = await call("search.open", message_id=hit["message_id"])

    ids = [message["id"] for message in place["page"]["messages"]]
    assert (id, hit["message_id"]) == (place["conversation"]["id"], place["message_id"])
    assert 25 == ids.index(hit["message_id"])
    assert (True, True) == (place["page"]["has_more"], place["page"]["has_newer"])


async def test_a_message_of_another_version_is_shown_with_its_version(call: Caller) -> None:
    id = await talk(call.store, ("Where?", "In the icebox"))
    old = (await call("messages.page", conversation_id=id))["messages"][1]["id"]
    again = await call.store.write(replies.answer_again, old, None)
    await answer(call.store, again, "In the oven")
    hits = {hit["message_id"]: hit["is_shown"] for hit in (await call.page("icebox"))["messages"]}

    place = await call("search.open", message_id=old)

    assert {old: False} == hits
    assert old == place["page"]["messages"][1]["id"]
    assert old == (await call("messages.page", conversation_id=id))["messages"][1]["id"]


async def test_what_another_agent_wrote_opens_in_the_answer_that_asked_for_it(call: Caller) -> None:
    asked = await ask(call.store, "Where?")
    part = messages.ToolCallPart("c1", "ask_helper", "{}", "running", is_agent=True)
    await call.store.write(replies.save_parts, asked.reply.id, [replies.StoredPart(0, 0, part)])
    below = await call.store.write(replies.delegate, asked.reply.id, 0, 1, "scripted/model", asked.run_id)
    await answer(call.store, below, "In the icebox")
    await answer(call.store, asked, "There.")

    (hit,) = (await call.page("icebox"))["messages"]
    place = await call("search.open", message_id=hit["message_id"])

    assert (below.reply.id, asked.reply.id, True) == (hit["message_id"], hit["root_id"], hit["is_shown"])
    assert asked.reply.id == place["message_id"]
    assert asked.reply.id in [message["id"] for message in place["page"]["messages"]]


async def test_a_message_that_is_gone_is_not_found(call: Caller) -> None:
    id = await talk(call.store, ("Where?", "In the icebox"))
    (hit,) = (await call.page("icebox"))["messages"]
    await call.store.write(conversations.delete, id)

    for message_id in (hit["message_id"], 4711):
        refused = await call("search.open", message_id=message_id)
        assert isinstance(refused, Failure)
        assert "not_found" == refused.code
