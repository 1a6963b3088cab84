import { cleanup, fireEvent, screen, waitFor, within } from "@testing-library/preact";
import { afterEach, expect, test } from "vitest";
import type { MessageRow } from "../api.gen";
import { armedButton, shownChat, violations } from "../fakeChat";
import { approval, question, reply, toolCall } from "../fakeRows";

afterEach(cleanup);

const withParts = (parts: MessageRow["parts"], changes: Partial<MessageRow> = {}) => [
  question(1, "Hi"),
  reply(2, "", { parts, ...changes }),
];

test("a note is a quiet line, and shows what it is about when asked", async () => {
  await shownChat(
    withParts([
      {
        kind: "note",
        what: "retried",
        text: "The connection broke.",
        detail: "It had said **I will**",
        kept: 0,
      },
      { kind: "note", what: "limit", text: "It stopped after 20 steps.", detail: "", kept: 0 },
    ]),
  );
  const [first, second] = await screen.findAllByTestId<HTMLDetailsElement>("note");
  if (!first || !second) throw new Error("no notes");

  first.open = true;
  fireEvent(first, new Event("toggle"));

  await within(first).findByText("I will");
  expect(second.textContent).toBe("It stopped after 20 steps.");
  expect(second.tagName).toBe("P");
});

test.each([
  ["month.cost", "Limits of all agents together"],
  ["agent_day.tokens", "Agents"],
])("a run at its limit leads to where the limit %s is set", async (limit, region) => {
  const pause = {
    kind: "pause",
    limit,
    text: "Enough.",
    status: "waiting",
    asked_ms: 1,
    decided_ms: 0,
  } as const;
  await shownChat(withParts([pause], { status: "streaming" }));

  fireEvent.click(await screen.findByRole("button", { name: "Change the limit" }));

  expect(await screen.findByRole("region", { name: region })).toBeTruthy();
});

test.each([
  ["Go on", true],
  ["Stop here", false],
])("a run at its limit waits for the user: %s", async (name, goOn) => {
  const pause = {
    kind: "pause",
    limit: "",
    text: "This would cost 2 $.",
    asked_ms: 1,
    decided_ms: 0,
  } as const;
  const { server } = await shownChat(withParts([{ ...pause, status: "waiting" }], { status: "streaming" }));

  fireEvent.click(await armedButton(name));
  await waitFor(() =>
    expect(server.params("runs.decide_pause")).toEqual([{ message_id: 2, position: 0, go_on: goOn }]),
  );
  server.publish({
    type: "part_changed",
    conversation_id: 1,
    message_id: 2,
    position: 0,
    part: { ...pause, status: goOn ? "went_on" : "stopped" },
  });

  await screen.findByText(new RegExp(goOn ? "You let it go on" : "You stopped here"));
  expect(screen.queryByTestId("pause")).toBeNull();
});

test("a reply in the queue says how many are before it", async () => {
  const { server } = await shownChat(withParts([], { status: "streaming", queue_place: 2 }));
  await screen.findByText("Waiting for 2 other answers to finish");

  server.publish({ type: "message_changed", message: reply(2, "", { status: "streaming", queue_place: 1 }) });

  await screen.findByText("Waiting for 1 other answer to finish");
});

test("a call says where its text came from, and what was kept from the model", async () => {
  await shownChat(
    withParts([
      toolCall({ origin: "web", source: "example.org", is_outside: true, hidden_characters: 12 }),
      toolCall({ call_id: "b", is_outside: true, hidden_characters: 1 }),
    ]),
  );

  await screen.findByText("from example.org");
  expect(screen.getByText("from outside")).toBeTruthy();
  expect(screen.getByText("12 invisible characters were removed before the model read this.")).toBeTruthy();
  expect(screen.getByText("1 invisible character was removed before the model read this.")).toBeTruthy();
});

test("who answered is named unless it is the assistant", async () => {
  await shownChat([
    question(1, "Hi"),
    reply(2, "A", { agent: "Assistant" }),
    question(3, "And?"),
    reply(4, "B", { agent: "Researcher" }),
  ]);

  const facts = (await screen.findAllByTestId("message")).map(
    (message) => message.querySelector(".message-facts")?.textContent ?? "",
  );
  expect(facts.map((text) => text.includes("Assistant"))).toEqual([false, false, false, false]);
  expect(facts.map((text) => text.includes("Researcher"))).toEqual([false, false, false, true]);
});

test("what was done and decided has no accessibility violations", async () => {
  await shownChat(
    withParts([
      { kind: "note", what: "compacted", text: "Summed up.", detail: "Before.", kept: 0 },
      toolCall({
        source: "example.org",
        approval: approval({ decision: "approved", arguments_before: "{}" }),
      }),
      { kind: "user", text: "Short, please" },
      { kind: "text", text: "Done." },
      { kind: "pause", limit: "", text: "It costs.", status: "waiting", asked_ms: 1, decided_ms: 0 },
    ]),
  );
  await screen.findByTestId("pause");

  expect(await violations()).toEqual([]);
});

test("of a page of messages the last is there at once and the others soon", async () => {
  const messages = Array.from({ length: 40 }, (_, n) =>
    n % 2 === 0 ? question(n + 1, `Question ${n}`) : reply(n + 1, `Answer ${n}`),
  );
  await shownChat(messages);
  const shown = await screen.findAllByTestId("message");

  expect(shown).toHaveLength(40);
  expect(shown[39]?.textContent).toContain("Answer 39");
  await waitFor(() => expect(document.querySelectorAll("[data-waiting]")).toHaveLength(0));
  expect(
    shown.every((message, n) => message.textContent?.includes(n % 2 ? `Answer ${n}` : `Question ${n}`)),
  ).toBe(true);
});

test("a long question is there in full", async () => {
  const text = Array.from({ length: 400 }, (_, n) => (n % 7 ? `Line ${n} of a log` : "")).join("\n");
  await shownChat([question(1, text), reply(2, "I see")]);

  await screen.findByText(/Line 398 of a log/);
  const chunks = [...document.querySelectorAll(".bubble-lines")];
  expect(chunks.map(({ textContent }) => textContent).join("\n")).toBe(text);
});
