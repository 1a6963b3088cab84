import { expect, test } from "vitest";
import { commandsOver } from "../api.gen";
import { conversationRow } from "../fakeRows";
import { type Answer, FakeServer, Refusal } from "../fakeServer";
import { createConversationList } from "./list";

async function loaded(answer: Answer) {
  const server = new FakeServer({ "conversations.page": answer });
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
