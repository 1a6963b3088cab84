import { cleanup, fireEvent, screen, waitFor, within } from "@testing-library/preact";
import { afterEach, expect, test } from "vitest";
import type { MessageRow } from "../api.gen";
import { armed, shownChat, violations } from "../fakeChat";
import { question, reply, textAppended, toolCall, waitingCall } from "../fakeRows";
import { Refusal } from "../fakeServer";

afterEach(cleanup);

const calls = [
  toolCall({ call_id: "a", name: "ask_researcher", status: "running", output: null, is_agent: true }),
  toolCall({ call_id: "b", name: "ask_accountant", status: "running", output: null, is_agent: true }),
];
const asking = [question(1, "What is new?"), reply(2, "", { status: "streaming", parts: calls })];

function answer(id: number, position: number, agent: string, changes: Partial<MessageRow> = {}): MessageRow {
  return reply(id, "", {
    parent_id: null,
    delegator_id: 2,
    call_position: position,
    agent,
    status: "streaming",
    ...changes,
  });
}

const blocks = () =>
  screen.getAllByTestId<HTMLDetailsElement>("tool-call").filter((call) => call.matches(".delegation"));

async function open(block: HTMLDetailsElement): Promise<void> {
  block.open = true;
  fireEvent(block, new Event("toggle"));
  await waitFor(() => expect(block.querySelector(".delegation-body")).toBeTruthy());
}

test("what another agent says streams inside the call that asked it", async () => {
  const { server } = await shownChat(asking);
  server.publish({ type: "message_changed", message: answer(3, 0, "Researcher") });
  server.publish({ type: "message_changed", message: answer(4, 1, "Accountant") });
  await screen.findByText("Accountant");
  const [first, second] = blocks();
  if (!first || !second) throw new Error("no blocks");
  await open(first);
  await open(second);

  server.publish(textAppended(4, 0, "Nothing."), textAppended(3, 0, "Three things "));
  server.publish(textAppended(3, 13, "changed."));

  await within(first).findByText("Three things changed.");
  await within(second).findByText("Nothing.");
  expect(screen.getAllByTestId("message")).toHaveLength(2);
});

test("a question inside another agent's work is seen without opening anything, and answered there", async () => {
  const asks = answer(3, 0, "Researcher", { parts: [waitingCall({ name: "web_fetch" })] });
  const { server } = await shownChat(asking, { "messages.delegated": () => [asks] });

  const card = await screen.findByRole("group", { name: /Researcher asks to use web_fetch/ });
  fireEvent.click(await armed(within(card).getByTestId("tool-approve")));

  await waitFor(() =>
    expect(server.params("runs.decide")).toMatchObject([
      { message_id: 3, position: 0, decision: "approved" },
    ]),
  );
  expect(blocks().map(({ open }) => open)).toEqual([true, false]);
  expect(screen.getByText("Deskside asks you: may Researcher use web_fetch?")).toBeTruthy();
});

test("agents that ask agents are shown one in the other, and their questions too", async () => {
  const middle = answer(3, 0, "Researcher", {
    parts: [toolCall({ name: "ask_reader", status: "running", output: null, is_agent: true })],
  });
  const inner = { ...answer(5, 0, "Reader", { parts: [waitingCall()] }), delegator_id: 3 };
  await shownChat(asking, {
    "messages.delegated": ({ message_id }) => (message_id === 2 ? [middle] : message_id === 3 ? [inner] : []),
  });

  await screen.findByRole("group", { name: /Reader asks to use write_file/ });

  expect(blocks().map(({ open }) => open)).toEqual([true, true, false]);
});

test("a reply that was interrupted while another agent waits does not offer to continue", async () => {
  const interrupted = { ...reply(2, "", { parts: calls }), status: "interrupted" as const };
  const asks = answer(3, 0, "Researcher", { status: "interrupted", parts: [waitingCall()] });
  await shownChat([question(1, "What is new?"), interrupted], { "messages.delegated": () => [asks] });

  await screen.findByTestId("tool-approve");

  expect(screen.queryByRole("button", { name: "Continue" })).toBeNull();
});

test("the work of a call that has ended is fetched when it is opened", async () => {
  const done = {
    ...calls[0],
    status: "finished" as const,
    output: "Three things.",
    kind: "tool_call" as const,
  };
  const rows = [question(1, "What is new?"), reply(2, "", { parts: [toolCall(done)] })];
  const { server } = await shownChat(rows, {
    "messages.delegated": () => [
      answer(3, 0, "Researcher", { status: "complete", parts: [{ kind: "text", text: "I looked." }] }),
    ],
  });
  await screen.findByText("ask_researcher");
  const before = server.params("messages.delegated").length;

  await open(blocks()[0] as HTMLDetailsElement);

  await screen.findByText("I looked.");
  expect(before).toBe(0);
});

test("work that the user stopped did not fail", async () => {
  const stopped = { ...calls[0], status: "failed" as const, output: "The run was stopped.", duration_ms: 0 };
  await shownChat(
    [question(1, "What is new?"), reply(2, "", { parts: [toolCall(stopped)], status: "stopped" })],
    {
      "messages.delegated": () => [answer(3, 0, "Researcher", { status: "stopped", parts: [] })],
    },
  );
  await screen.findByText("ask_researcher");

  await open(blocks()[0] as HTMLDetailsElement);

  await screen.findByText("It was stopped.");
  expect(blocks()[0]?.querySelector("summary")?.textContent).toBe("ResearcherStopped");
});

test("work that could not be fetched says why, and can be asked for again", async () => {
  let isDown = true;
  await shownChat(asking, {
    "messages.delegated": () => {
      if (isDown) throw new Refusal("store_busy", "Another program uses the data.");
      return [answer(3, 0, "Researcher")];
    },
  });
  await waitFor(() => expect(blocks()).toHaveLength(2));
  await open(blocks()[0] as HTMLDetailsElement);

  await screen.findByText("Another program uses the data.");
  isDown = false;
  fireEvent.click(screen.getByText("Try again"));

  await screen.findByText("Researcher");
});

test("another agent's work has no accessibility violations", async () => {
  const asks = answer(3, 0, "Researcher", { parts: [{ kind: "text", text: "Well." }, waitingCall()] });
  await shownChat(asking, { "messages.delegated": () => [asks] });
  await screen.findByTestId("tool-approve");

  expect(await violations()).toEqual([]);
});
