import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { type AppEvent, commandsOver, type MessagePage, type MessageRow } from "../api.gen";
import {
  conversationRow,
  question,
  reply,
  startedRun,
  textAppended,
  toolCall,
  waitingCall,
} from "../fakeRows";
import { type Answer, FakeServer, Refusal } from "../fakeServer";
import { createConversation } from "./conversation";
import { plainText } from "./message";

let frames: (() => void)[] = [];

beforeEach(() => {
  vi.useFakeTimers();
  frames = [];
});
afterEach(() => {
  vi.useRealTimers();
});

function page(messages: MessageRow[], lastEvent = 0, hasMore = false): MessagePage {
  return { messages, has_more: hasMore, has_newer: false, last_event: lastEvent };
}

/** A conversation whose messages are `rows`; the server's answers can be replaced afterwards. */
async function opened(rows: MessageRow[], answers: Record<string, Answer> = {}) {
  const server = new FakeServer({ "messages.page": () => page(rows), ...answers });
  const bridge = server.bridge();
  bridge.connect();
  server.hello();
  const conversation = createConversation(commandsOver(bridge.call, bridge.stream), {
    row: conversationRow(),
    schedule: (flush) => frames.push(flush),
  });
  await conversation.load();
  const texts = () => conversation.messages.value.map(plainText);
  return { server, conversation, texts };
}

const streaming = reply(2, "", { status: "streaming" });
const changed = (message: MessageRow): AppEvent => ({ type: "message_changed", message });

test("text that comes twice, or overlaps, is shown once", async () => {
  const { conversation, texts } = await opened([question(1, "Hi"), streaming]);

  conversation.apply(textAppended(2, 0, "Hello"), 1);
  conversation.apply(textAppended(2, 0, "Hello"), 2);
  conversation.apply(textAppended(2, 3, "lo there"), 3);

  expect(texts()).toEqual(["Hi", "Hello there"]);
});

test("many deltas become one update of the screen a frame", async () => {
  const { conversation } = await opened([question(1, "Hi"), streaming]);
  conversation.apply(textAppended(2, 0, "a"), 1);
  const part = conversation.messages.value[1]?.parts.value[0];
  if (part?.kind !== "text") throw new Error("no text part");

  conversation.apply(textAppended(2, 1, "b"), 2);
  conversation.apply(textAppended(2, 2, "c"), 3);

  expect(part.text.value).toBe("");
  expect(frames).toHaveLength(1);
  frames[0]?.();
  expect(part.text.value).toBe("abc");
});

test("text beyond what is here makes the page ask for the messages again", async () => {
  const { conversation, server, texts } = await opened([question(1, "Hi"), streaming]);

  conversation.apply(textAppended(2, 7, " three"), 8);
  conversation.apply(textAppended(2, 13, " four"), 9);
  server.answers["messages.page"] = () =>
    page([question(1, "Hi"), reply(2, "One two three four", { status: "streaming" })], 9);
  await vi.advanceTimersByTimeAsync(100);

  expect(texts()).toEqual(["Hi", "One two three four"]);
  expect(server.params("messages.page")).toHaveLength(2);
});

test("events that come before the messages are not lost and not shown twice", async () => {
  let answer: (found: MessagePage) => void = () => {};
  const { conversation, server, texts } = await opened([]);
  server.answers["messages.page"] = () => new Promise((resolve) => (answer = resolve));

  const loading = conversation.load();
  await vi.advanceTimersByTimeAsync(0);
  conversation.apply(textAppended(2, 0, "Hello"), 11);
  conversation.apply(textAppended(2, 5, " there"), 12);
  conversation.apply(changed(reply(2, "Hello there!")), 13);
  answer(page([question(1, "Hi"), reply(2, "Hello", { status: "streaming" })], 11));
  await loading;

  expect(texts()).toEqual(["Hi", "Hello there!"]);
  expect(conversation.running.value).toBeNull();
});

test("loading again while a reply streams keeps what has been said", async () => {
  const { conversation, server, texts } = await opened([question(1, "Hi"), streaming]);
  conversation.apply(textAppended(2, 0, "Hello there"), 5);
  server.answers["messages.page"] = () =>
    page([question(1, "Hi"), reply(2, "Hello", { status: "streaming" })], 5);

  await conversation.load();
  conversation.apply(textAppended(2, 11, ", Ada"), 6);

  expect(texts()).toEqual(["Hi", "Hello there, Ada"]);
});

test("the first message of a new chat makes its conversation, also when events overtake the answer", async () => {
  const onCreated = vi.fn();
  const server = new FakeServer();
  const bridge = server.bridge({
    onEvents: (events, n) => {
      for (const event of events) conversation.apply(event, n);
    },
  });
  bridge.connect();
  server.hello();
  const conversation = createConversation(commandsOver(bridge.call, bridge.stream), {
    row: null,
    onCreated,
    schedule: (flush) => frames.push(flush),
  });
  server.answers["runs.start"] = () => {
    server.publish(changed(question(1, "Hi")), changed(streaming), textAppended(2, 0, "Hel"));
    return startedRun(question(1, "Hi"), streaming);
  };

  const onStored = vi.fn();
  await conversation.send("Hi", null, null, onStored);
  server.publish(textAppended(2, 3, "lo"));

  expect(onStored).toHaveBeenCalledTimes(1);
  expect(conversation.messages.value.map(plainText)).toEqual(["Hi", "Hello"]);
  expect(onCreated).toHaveBeenCalledTimes(1);
});

test("a question that could not be stored is not shown and says why", async () => {
  const { conversation, texts } = await opened([], {
    "runs.start": () => {
      throw new Refusal("store_full", "The disk is full.", "Free some space.", true);
    },
  });

  const onStored = vi.fn();
  await conversation.send("Hi", null, null, onStored);

  expect(onStored).not.toHaveBeenCalled();
  expect(texts()).toEqual([]);
  expect(conversation.problem.value).toMatchObject({ code: "store_full", hint: "Free some space." });
});

test("a question that was sent when the socket dropped is not asked for again when it did arrive", async () => {
  const { conversation, server } = await opened([]);
  const onStored = vi.fn();
  const sending = conversation.send("Hi", null, null, onStored);
  server.socket.close();
  await sending;
  const wasUnsure = [onStored.mock.calls.length, conversation.problem.value?.code];

  conversation.apply(changed(question(1, "Hi")), 1);

  expect(wasUnsure).toEqual([0, "disconnected"]);
  expect(onStored).toHaveBeenCalledTimes(1);
  expect(conversation.problem.value).toBeNull();
});

test("a retry replaces the reply and what followed it", async () => {
  const rows = [question(1, "Hi"), reply(2, "Hello"), question(3, "And?"), reply(4, "Well")];
  const retried = reply(5, "", { parent_id: 1, status: "streaming", versions: [2, 5] });
  const { conversation, texts } = await opened(rows, { "runs.retry": () => startedRun(null, retried) });

  await conversation.retry(2);

  expect(texts()).toEqual(["Hi", ""]);
  expect(conversation.messages.value[1]?.row.value.versions).toEqual([2, 5]);
});

test("a reply that is continued goes on in the same message", async () => {
  const stopped = reply(2, "Hello", { status: "stopped" });
  const goesOn = reply(2, "Hello", { status: "streaming", run_id: 7 });
  const { conversation, texts } = await opened([question(1, "Hi"), stopped], {
    "runs.continue_reply": () => startedRun(null, goesOn),
  });

  await conversation.continueReply(2);
  conversation.apply(textAppended(2, 5, " again"), 4);

  expect(texts()).toEqual(["Hi", "Hello again"]);
  expect(conversation.running.value?.id).toBe(2);
});

test("the text of a version that is not shown does not reload the page again and again", async () => {
  const { conversation, server } = await opened([question(1, "Hi"), reply(3, "B", { parent_id: 1 })]);

  for (let n = 1; n <= 5; n++) {
    conversation.apply(textAppended(2, n, "x"), n);
    await vi.advanceTimersByTimeAsync(200);
  }

  expect(server.params("messages.page")).toHaveLength(2);
});

test("older messages come before those that are here", async () => {
  const { conversation, server, texts } = await opened([question(3, "C"), reply(4, "D")]);
  conversation.hasMore.value = true;
  server.answers["messages.page"] = () => page([question(1, "A"), reply(2, "B")]);

  await conversation.loadOlder();

  expect(texts()).toEqual(["A", "B", "C", "D"]);
  expect(server.params("messages.page").at(-1)).toMatchObject({ before_id: 3 });
  expect(conversation.hasMore.value).toBe(false);
});

test("a tool call is written, runs and finishes in its place", async () => {
  const { conversation } = await opened([question(1, "Hi"), streaming]);
  const part = (more: { arguments: string; status: "writing" | "finished"; output?: string }) =>
    ({
      type: "part_changed",
      conversation_id: 1,
      message_id: 2,
      position: 0,
      part: toolCall({ output: null, ...more }),
    }) satisfies AppEvent;

  conversation.apply(part({ arguments: "", status: "writing" }), 1);
  conversation.apply(textAppended(2, 0, '{"x":', { kind: "arguments" }), 2);
  conversation.apply(textAppended(2, 5, "1}", { kind: "arguments" }), 3);
  for (const flush of frames) flush();
  const shown = conversation.messages.value[1]?.parts.value[0];
  if (shown?.kind !== "tool_call") throw new Error("no tool call");
  const written = shown.call.value.arguments;
  conversation.apply(part({ arguments: '{"x":1}', status: "finished", output: "1" }), 4);

  expect(written).toBe('{"x":1}');
  expect(shown.call.value).toMatchObject({ status: "finished", output: "1" });
});

test("the tokens of all shown messages add up", async () => {
  const usage = {
    input_tokens: 100,
    cache_read_tokens: 20,
    cache_write_tokens: 3,
    output_tokens: 7,
    reasoning_tokens: 5,
  };
  const { conversation } = await opened([question(1, "Hi"), reply(2, "A", { usage })]);

  conversation.apply(changed(question(3, "B", { parent_id: 2 })), 1);
  conversation.apply(changed(reply(4, "C", { parent_id: 3, usage })), 2);

  expect(conversation.tokens.value).toBe(260);
});

test("a notice that the model is asked again goes away with the next text", async () => {
  const { conversation } = await opened([question(1, "Hi"), streaming]);
  const message = conversation.messages.value[1];

  conversation.apply(
    {
      type: "reply_retried",
      conversation_id: 1,
      message_id: 2,
      attempt: 1,
      delay_s: 2,
      message: "Too busy.",
    },
    1,
  );
  const notice = message?.retrying.value;
  conversation.apply(textAppended(2, 0, "Hi"), 2);

  expect(notice).toMatchObject({ delay_s: 2 });
  expect(message?.retrying.value).toBeNull();
});

const replaced = (position: number, parts: MessageRow["parts"], messageId = 2): AppEvent => ({
  type: "parts_replaced",
  conversation_id: 1,
  message_id: messageId,
  position,
  parts,
});
const partChanged = (position: number, part: MessageRow["parts"][number], messageId = 2): AppEvent => ({
  type: "part_changed",
  conversation_id: 1,
  message_id: messageId,
  position,
  part,
});
const note = { kind: "note", what: "retried", text: "Asked again.", detail: "", kept: 0 } as const;
const kinds = (parts: { kind: string }[] | undefined) => parts?.map(({ kind }) => kind);

test("a note takes the place of a broken attempt, and the next attempt follows it", async () => {
  const { conversation, texts } = await opened([question(1, "Hi"), streaming]);
  conversation.apply(textAppended(2, 0, "thinking", { kind: "reasoning" }), 1);
  conversation.apply(textAppended(2, 0, "I wil", { position: 1 }), 2);

  conversation.apply(replaced(0, [note]), 3);
  conversation.apply(textAppended(2, 0, "I will.", { position: 1 }), 4);

  expect(texts()).toEqual(["Hi", "I will."]);
  expect(kinds(conversation.messages.value[1]?.parts.value)).toEqual(["note", "text"]);
});

test("a replacement beyond what is here makes the page ask for the messages again", async () => {
  const { conversation, server } = await opened([question(1, "Hi"), streaming]);

  conversation.apply(replaced(3, [note]), 1);
  await vi.advanceTimersByTimeAsync(100);

  expect(server.params("messages.page")).toHaveLength(2);
});

test("what was left of a broken attempt does not outlive a page that has none of it", async () => {
  const { conversation, server, texts } = await opened([question(1, "Hi"), streaming]);
  conversation.apply(textAppended(2, 0, "thinking", { kind: "reasoning" }), 1);
  conversation.apply(textAppended(2, 0, "I will try", { position: 1 }), 2);
  server.answers["messages.page"] = () =>
    page(
      [
        question(1, "Hi"),
        reply(2, "", { status: "streaming", parts: [note, { kind: "text", text: "I will" }] }),
      ],
      9,
    );

  await conversation.load();
  conversation.apply(textAppended(2, 6, " not", { position: 1 }), 10);

  expect(texts()).toEqual(["Hi", "I will not"]);
});

test("a call that was answered while events were missed asks no more", async () => {
  const { conversation, server } = await opened([
    question(1, "Hi"),
    reply(2, "", { status: "streaming", parts: [waitingCall()] }),
  ]);
  const before = conversation.questions.value.map(({ kind }) => kind);
  server.answers["messages.page"] = () =>
    page([
      question(1, "Hi"),
      reply(2, "", { status: "streaming", parts: [waitingCall({ status: "running" })] }),
    ]);

  await conversation.load();

  expect(before).toEqual(["approval"]);
  expect(conversation.questions.value).toEqual([]);
});

const delegated = (id: number, text: string, changes: Partial<MessageRow> = {}) =>
  reply(id, text, { parent_id: null, delegator_id: 2, call_position: 0, status: "streaming", ...changes });
const delegatedTexts = (conversation: Awaited<ReturnType<typeof opened>>["conversation"], id = 2) =>
  conversation.delegationOf(id).messages.value.map(plainText);

test("other agents' answers are kept beside the path, in the order of the calls", async () => {
  const { conversation, texts } = await opened([question(1, "Hi"), streaming]);

  conversation.apply(changed(delegated(3, "", { call_position: 1 })), 1);
  conversation.apply(changed(delegated(4, "")), 2);
  conversation.apply(textAppended(4, 0, "first"), 3);
  conversation.apply(textAppended(3, 0, "second"), 4);
  conversation.apply(changed(delegated(4, "first!", { status: "complete" })), 5);

  expect(texts()).toEqual(["Hi", ""]);
  expect(delegatedTexts(conversation)).toEqual(["first!", "second"]);
  expect(conversation.running.value?.id).toBe(2);
});

test("events that overtake another agent's stored answer are not lost", async () => {
  let answer: (rows: MessageRow[]) => void = () => {};
  const { conversation, server } = await opened([question(1, "Hi"), streaming], {
    "messages.delegated": () => new Promise((resolve) => (answer = resolve)),
  });

  conversation.openDelegated(2);
  conversation.openDelegated(2);
  await vi.advanceTimersByTimeAsync(0);
  conversation.apply(textAppended(3, 0, "Hello"), 1);
  conversation.apply(partChanged(1, waitingCall(), 3), 2);
  answer([delegated(3, "Hel")]);
  await vi.advanceTimersByTimeAsync(200);

  expect(delegatedTexts(conversation)).toEqual(["Hello"]);
  expect(conversation.questions.value.map(({ message }) => message.id)).toEqual([3]);
  expect(server.params("messages.delegated")).toHaveLength(1);
  expect(server.params("messages.page")).toHaveLength(1);
});

test("after events were missed, other agents' answers are loaded again, too", async () => {
  const { conversation, server } = await opened([question(1, "Hi"), streaming]);
  conversation.apply(changed(delegated(3, "Hel")), 1);
  server.answers["messages.delegated"] = () => [
    delegated(3, "Hello", { status: "complete" }),
    delegated(4, "Well"),
  ];

  await conversation.load();
  await vi.advanceTimersByTimeAsync(0);
  conversation.apply(textAppended(4, 4, ", well"), 9);

  expect(delegatedTexts(conversation)).toEqual(["Hello", "Well, well"]);
});

test("text beyond what another agent's answer has here makes the page ask again", async () => {
  const { conversation, server } = await opened([question(1, "Hi"), streaming]);
  conversation.apply(changed(delegated(3, "One")), 1);
  server.answers["messages.delegated"] = () => [delegated(3, "One two three")];

  conversation.apply(textAppended(3, 7, " three"), 5);
  await vi.advanceTimersByTimeAsync(100);

  expect(delegatedTexts(conversation)).toEqual(["One two three"]);
});

test("what is said to an answer that has ended meanwhile does not bring it back to life", async () => {
  let answer: (row: MessageRow) => void = () => {};
  const { conversation } = await opened([question(1, "Hi"), streaming], {
    "runs.steer": () => new Promise((resolve) => (answer = resolve)),
  });
  const onStored = vi.fn();

  const steering = conversation.steer("Only flats", onStored);
  await vi.advanceTimersByTimeAsync(0);
  conversation.apply(changed(reply(2, "Done")), 1);
  answer({ ...streaming, steering: ["Only flats"] });
  await steering;

  expect(onStored).toHaveBeenCalledTimes(1);
  expect(conversation.running.value).toBeNull();
  expect(conversation.messages.value[1]?.row.value.steering).toEqual([]);
});

// -- in the middle ------------------------------------------------------------------------------

/** `count` messages from `first` on, a question and its answer in turn. */
function stretch(first: number, count: number): MessageRow[] {
  return Array.from({ length: count }, (_, at) => {
    const id = first + at;
    const row = id % 2 === 1 ? question(id, `m${id}`) : reply(id, `m${id}`);
    return { ...row, parent_id: id > 1 ? id - 1 : null };
  });
}

/** A conversation of `length` messages whose pages the server gives as Python does, opened at message 100. */
async function inTheMiddle(length = 300) {
  const all = stretch(1, length);
  const pageOf = (first: number, last: number): MessagePage => ({
    messages: all.slice(Math.max(0, first - 1), last),
    has_more: first > 1,
    has_newer: last < all.length,
    last_event: 0,
  });
  const around = (id: number) => pageOf(id - 25, id + 24);
  const opening = await opened([], {
    "search.open": ({ message_id }) => ({
      conversation: conversationRow(),
      message_id,
      page: around(Number(message_id)),
    }),
    "messages.page": ({ before_id, after_id, around_id, limit }) => {
      if (before_id) return pageOf(Number(before_id) - Number(limit), Number(before_id) - 1);
      if (after_id) return pageOf(Number(after_id) + 1, Number(after_id) + Number(limit));
      if (around_id) return around(Number(around_id));
      return pageOf(all.length - Number(limit) + 1, all.length);
    },
  });
  await opening.conversation.goTo(100, "m100");
  const ids = () => opening.conversation.messages.value.map(({ id }) => id);
  return { ...opening, all, ids };
}

const range = (first: number, last: number) =>
  Array.from({ length: last - first + 1 }, (_, at) => first + at);

test("what was looked for is opened with what is around it, and both ways go on from there", async () => {
  const { conversation, ids } = await inTheMiddle(190);
  expect(conversation.found.value).toEqual({ id: 100, text: "m100" });
  expect(ids()).toEqual(range(75, 124));
  expect([conversation.hasMore.value, conversation.hasNewer.value]).toEqual([true, true]);

  await conversation.loadNewer();
  await conversation.loadOlder();
  expect(ids()).toEqual(range(50, 149));

  for (let n = 0; n < 2; n += 1) await conversation.loadOlder();
  for (let n = 0; n < 7; n += 1) await conversation.loadNewer();

  expect(ids()).toEqual(range(1, 190));
  expect([conversation.hasMore.value, conversation.hasNewer.value]).toEqual([false, false]);
});

test("what happens at the end leaves the middle alone, and is there when the reader gets there", async () => {
  const { conversation, all, ids, server, texts } = await inTheMiddle(240);
  all.push({ ...question(241, "more?"), parent_id: 240 });
  conversation.apply(changed(all[240] as MessageRow), 1);
  all.push({ ...reply(242, "", { status: "streaming" }), parent_id: 241 });
  conversation.apply(changed(all[241] as MessageRow), 2);
  conversation.apply(textAppended(242, 0, "It is"), 3);
  await vi.advanceTimersByTimeAsync(200);

  expect(ids()).toEqual(range(75, 124));
  expect(conversation.running.value?.id).toBe(242);
  const asked = server.params("messages.page").length;

  all[241] = { ...reply(242, "It is", { status: "streaming" }), parent_id: 241 };
  for (let n = 0; n < 5; n += 1) await conversation.loadNewer();
  conversation.apply(textAppended(242, 5, " 42."), 4);

  expect(server.params("messages.page").length).toBe(asked + 5);
  expect(ids()).toEqual(range(75, 242));
  expect(texts().at(-1)).toBe("It is 42.");
  expect(conversation.hasNewer.value).toBe(false);
});

test("a reply that was running before the reader went away can be stopped from the middle", async () => {
  const { conversation, all, server } = await inTheMiddle();
  all[299] = { ...reply(300, "It", { status: "streaming" }), parent_id: 299 };
  await conversation.goTo(100, "");
  server.answers["runs.stop"] = () => null;

  expect(conversation.running.value?.id).toBe(300);
  await conversation.stop();

  expect(server.params("runs.stop")).toEqual([{ message_id: 300 }]);
});

test("events were missed: the reader stays in the middle", async () => {
  const { conversation, ids, server } = await inTheMiddle();

  await conversation.load();

  expect(server.params("messages.page").some(({ around_id }) => around_id === 100)).toBe(true);
  expect(ids()).toEqual(range(75, 124));
});

test("a question that is asked from the middle goes to the end", async () => {
  const { conversation, all, ids, server } = await inTheMiddle();
  server.answers["runs.start"] = () => {
    all.push({ ...question(301, "more?"), parent_id: 300 }, { ...reply(302, "Yes"), parent_id: 301 });
    return startedRun(all[300] ?? null, all[301] as MessageRow);
  };

  await conversation.send("more?", null, null);
  await vi.advanceTimersByTimeAsync(0);

  expect(ids()).toEqual(range(253, 302));
  expect(conversation.hasNewer.value).toBe(false);
  expect(conversation.lastAsked.value).toBe(301);
});

test("what is far from the reader goes, and is loaded again", async () => {
  const { conversation, ids } = await inTheMiddle(1000);

  for (let n = 0; n < 24; n += 1) await conversation.loadNewer();
  expect(ids()).toEqual(range(525, 724));
  expect(conversation.hasMore.value).toBe(true);

  for (let n = 0; n < 24; n += 1) await conversation.loadOlder();
  expect(ids()).toEqual(range(1, 200));
  expect(conversation.hasNewer.value).toBe(true);

  await conversation.jumpToEnd();
  expect(ids()).toEqual(range(951, 1000));
});
