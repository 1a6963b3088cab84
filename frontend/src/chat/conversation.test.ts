import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { type AppEvent, commandsOver, type MessagePage, type MessageRow } from "../api.gen";
import { conversationRow, question, reply, startedRun, textAppended, toolCall } from "../fakeRows";
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
  return { messages, has_more: hasMore, last_event: lastEvent };
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
