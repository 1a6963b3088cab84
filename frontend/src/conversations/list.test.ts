import { expect, test } from "vitest";
import { commandsOver } from "../api.gen";
import { conversationRow } from "../fakeRows";
import { type Answer, FakeServer, Refusal } from "../fakeServer";
import { createConversationList } from "./list";

async function loaded(answer: Answer, answers: Record<string, Answer> = {}) {
  const server = new FakeServer({
    "conversations.page": answer,
    "conversations.pinned": () => [],
    ...answers,
  });
  const bridge = server.bridge();
  bridge.connect();
  server.hello();
  const list = createConversationList(commandsOver(bridge.call, bridge.stream));
  await list.load();
  return { server, list, ids: () => list.rows.value.map(({ id }) => id) };
}

const row = (id: number, updated_ms: number) => conversationRow({ id, updated_ms });

test("the next page follows the first, and a row that moved meanwhile is there once", async () => {
  const pages: Record<string, unknown> = {
    first: { conversations: [row(4, 40), row(3, 30)], next_cursor: "second" },
    second: { conversations: [row(3, 30), row(2, 20)], next_cursor: null },
  };
  const { server, list, ids } = await loaded(({ cursor }) => pages[String(cursor ?? "first")]);

  await list.loadMore();
  await list.loadMore();

  expect(ids()).toEqual([4, 3, 2]);
  expect(server.params("conversations.page")).toHaveLength(2);
});

test("a list that is loaded again is as long as it was", async () => {
  const all = Array.from({ length: 70 }, (_, at) => row(70 - at, 70 - at));
  const { list, ids } = await loaded(({ cursor, limit }) => {
    const from = Number(cursor ?? 0);
    const to = from + Number(limit);
    return { conversations: all.slice(from, to), next_cursor: to < all.length ? String(to) : null };
  });
  expect(ids()).toHaveLength(50);
  await list.loadMore();

  await list.load();

  expect(ids()).toHaveLength(70);
});

test("a conversation that was used moves to the top", async () => {
  const { list, ids } = await loaded(() => ({
    conversations: [row(2, 20), row(1, 10)],
    next_cursor: null,
  }));

  list.apply({ type: "conversation_changed", conversation: row(1, 30) });
  list.apply({ type: "conversation_changed", conversation: row(3, 25) });
  list.apply({ type: "conversation_deleted", conversation_id: 2 });

  expect(ids()).toEqual([1, 3]);
});

test("a list that cannot be loaded says why, and keeps what it had", async () => {
  const { server, list, ids } = await loaded(() => ({ conversations: [row(1, 10)], next_cursor: null }));
  server.answers["conversations.page"] = () => {
    throw new Refusal("store_busy", "Another program uses the data.");
  };

  await list.load();

  expect(ids()).toEqual([1]);
  expect(list.problem.value?.code).toBe("store_busy");
});

test("what is pinned is there from the start, and once, however far down the list it is", async () => {
  const pinned = conversationRow({ id: 1, updated_ms: 10, is_pinned: true });
  const { ids, list } = await loaded(
    ({ cursor }) =>
      cursor === null
        ? { conversations: [row(3, 30), row(2, 20)], next_cursor: "more" }
        : { conversations: [pinned], next_cursor: null },
    { "conversations.pinned": () => [pinned] },
  );

  expect(ids()).toEqual([3, 2, 1]);
  await list.loadMore();
  expect(ids()).toEqual([3, 2, 1]);
});

test("a row leaves the view that it does not belong to any more, and comes to the one it does", async () => {
  const { list, ids, server } = await loaded(() => ({
    conversations: [row(2, 20), row(1, 10)],
    next_cursor: null,
  }));
  const change = (changes: Parameters<typeof conversationRow>[0]) =>
    list.apply({
      type: "conversation_changed",
      conversation: conversationRow({ updated_ms: 10, ...changes }),
    });

  change({ id: 1, is_archived: true });
  expect(ids()).toEqual([2]);
  await list.show({ place: "listed", folderId: 7 });
  change({ id: 1 });
  expect(ids()).toEqual([2]);
  change({ id: 1, folder_id: 7 });
  expect(ids()).toContain(1);
  expect(server.params("conversations.page").at(-1)).toMatchObject({ place: "listed", folder_id: 7 });
});

test("an answer for a view that was left meanwhile is not shown", async () => {
  const { list, ids, server } = await loaded(() => ({ conversations: [row(1, 10)], next_cursor: null }));
  let answer: (value: unknown) => void = () => {};
  server.answers["conversations.page"] = ({ place }) =>
    place === "archived"
      ? new Promise((resolve) => {
          answer = resolve;
        })
      : { conversations: [row(3, 30)], next_cursor: null };

  const slow = list.show({ place: "archived" });
  await list.show({ place: "deleted" });
  answer({ conversations: [row(9, 90)], next_cursor: null });
  await slow;

  expect(ids()).toEqual([3]);
});

test("several rows are selected one by one or up to one, and a row that goes is not selected", async () => {
  const { list } = await loaded(() => ({
    conversations: [row(4, 40), row(3, 30), row(2, 20), row(1, 10)],
    next_cursor: null,
  }));
  const selected = () => [...list.selected.value].sort();

  list.toggle(4);
  list.selectTo(2, [4, 3, 2, 1]);
  expect(selected()).toEqual([2, 3, 4]);
  list.toggle(3);
  expect(selected()).toEqual([2, 4]);
  list.apply({ type: "conversation_deleted", conversation_id: 4 });
  expect(selected()).toEqual([2]);
});
