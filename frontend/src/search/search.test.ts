import { expect, test } from "vitest";
import { commandsOver, type FoundMessage, type SearchPage } from "../api.gen";
import { type Answer, FakeServer, Refusal } from "../fakeServer";
import { createSearch } from "./search";

function message(id: number, conversationId = 1): FoundMessage {
  return {
    message_id: id,
    root_id: id,
    conversation_id: conversationId,
    title: `Conversation ${conversationId}`,
    role: "user",
    created_ms: 0,
    model: null,
    agent: null,
    is_shown: true,
    is_archived: false,
    snippet: [{ text: "plums", is_hit: true }],
  };
}

function page(messages: FoundMessage[], changes: Partial<SearchPage> = {}): SearchPage {
  return {
    titles: [],
    messages,
    total: messages.length,
    is_more: false,
    next_cursor: null,
    notes: [],
    searched_back_to_ms: null,
    ...changes,
  };
}

function searching(answer: Answer) {
  const server = new FakeServer({ "search.find": answer });
  const bridge = server.bridge();
  bridge.connect();
  server.hello();
  return { server, search: createSearch(commandsOver(bridge.call, bridge.stream)) };
}

const settled = () => new Promise((resolve) => setTimeout(resolve));

test("every change of the text searches, and cancels the search for the one before", async () => {
  const { server, search } = searching(() => new Promise(() => {}));

  search.type("p");
  search.type("pl");
  await settled();

  expect(server.params("search.find").map(({ text }) => text)).toEqual(["p", "pl"]);
  expect(server.socket.sent.filter(({ t }) => t === "cancel")).toHaveLength(1);
  expect(search.isSearching.value).toBe(true);
});

test("an answer that comes late is dropped", async () => {
  const answers: ((found: SearchPage) => void)[] = [];
  const { search } = searching(() => new Promise((resolve) => answers.push(resolve)));
  search.type("p");
  search.type("pl");
  await settled();

  answers[1]?.(page([message(2)]));
  await settled();
  answers[0]?.(page([message(1)]));
  await settled();

  expect(search.messages.value.map(({ message_id }) => message_id)).toEqual([2]);
  expect(search.isSearching.value).toBe(false);
});

test("the next page goes behind the first, and hits of one conversation stand together", async () => {
  const { server, search } = searching(({ cursor }) =>
    cursor === null
      ? page([message(1), message(2, 2)], { next_cursor: "n2.3000", total: 3000, is_more: true })
      : page([message(3)], { total: 3000, is_more: true }),
  );
  search.type("plums");
  await settled();

  await search.more();
  await search.more();

  expect(search.groups.value.map(({ messages }) => messages.map(({ message_id }) => message_id))).toEqual([
    [1, 3],
    [2],
  ]);
  expect(search.count.value).toBe("3,000+ messages");
  expect(server.params("search.find")).toHaveLength(2);
});

test("an empty text shows the conversations again, whatever is still under way", async () => {
  const answers: ((found: SearchPage) => void)[] = [];
  const { search } = searching(() => new Promise((resolve) => answers.push(resolve)));
  search.type("plums");
  await settled();

  search.clear();
  answers[0]?.(page([message(1)]));
  await settled();

  expect(search.isActive.value).toBe(false);
  expect(search.isSearching.value).toBe(false);
  expect(search.messages.value).toEqual([]);
});

test("a search that fails says why, and the next one works", async () => {
  const { server, search } = searching(() => {
    throw new Refusal("store_busy", "Another program is using the database.");
  });
  search.type("p");
  await settled();
  expect(search.problem.value?.message).toBe("Another program is using the database.");

  server.answers["search.find"] = () => page([message(1)]);
  search.search();
  await settled();

  expect(search.problem.value).toBeNull();
  expect(search.messages.value).toHaveLength(1);
});

test("one conversation is searched by itself", async () => {
  const { server, search } = searching(() => page([]));
  search.type("plums");

  search.searchWithin(7);
  await settled();

  expect(server.params("search.find").at(-1)).toMatchObject({ text: "plums", conversation_id: 7 });
});
