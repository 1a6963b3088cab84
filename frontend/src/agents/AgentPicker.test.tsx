import { cleanup, fireEvent, screen, waitFor } from "@testing-library/preact";
import { afterEach, expect, test } from "vitest";
import { shownChat, violations } from "../fakeChat";
import { agentRow, conversationRow, question, reply, startedRun } from "../fakeRows";

afterEach(cleanup);

async function choose(label: string): Promise<string[]> {
  fireEvent.click(screen.getByTestId("agent-picker"));
  const offered = (await screen.findAllByRole("menuitemradio")).map(({ textContent }) => textContent ?? "");
  fireEvent.click(screen.getByRole("menuitemradio", { name: label }));
  await waitFor(() => expect(screen.queryByRole("menu")).toBeNull());
  return offered;
}

const picked = () => screen.getByTestId("agent-picker").getAttribute("aria-label");

test("another active agent can be chosen for a conversation", async () => {
  const { server } = await shownChat([question(1, "Hi"), reply(2, "Hello")], {
    "conversations.set_agent": ({ agent }) => {
      const conversation = conversationRow({ agent: String(agent) });
      server.publish({ type: "conversation_changed", conversation });
      return conversation;
    },
  });
  await waitFor(() => expect(picked()).toBe("Agent: Assistant"));

  const offered = await choose("Researcher");

  await waitFor(() => expect(picked()).toBe("Agent: Researcher"));
  expect(offered).toEqual(["Assistant", "🔎Researcher"]);
  expect(server.params("conversations.set_agent")).toEqual([{ id: 1, agent: "researcher" }]);
});

test("the agent of a new chat is sent with its first question, and with no other chat's", async () => {
  const { server, app } = await shownChat([], {
    "runs.start": () =>
      startedRun(question(11, "Hi", { conversation_id: 7 }), reply(12, "Hello", { conversation_id: 7 })),
  });
  app.newChat();
  await screen.findByText("What can I help with?");
  await choose("Researcher");

  fireEvent.input(screen.getByTestId("chat-input"), { target: { value: "Hi" } });
  fireEvent.keyDown(screen.getByTestId("chat-input"), { key: "Enter" });
  await waitFor(() => expect(server.params("runs.start")).toHaveLength(1));
  app.newChat();

  expect(server.params("runs.start")[0]).toMatchObject({ conversation_id: null, agent: "researcher" });
  await waitFor(() => expect(picked()).toBe("Agent: Assistant"));
});

test("the choice follows agents that are renamed or switched off", async () => {
  const { server } = await shownChat([question(1, "Hi")]);
  await waitFor(() => expect(picked()).toBe("Agent: Assistant"));
  server.answers["agents.list"] = () => [agentRow("assistant", "Butler")];

  server.publish({ type: "agents_changed" });

  await waitFor(() => expect(picked()).toBe("Agent: Butler"));
});

test("the arrow keys move in the list of agents", async () => {
  await shownChat([question(1, "Hi")]);
  fireEvent.click(screen.getByTestId("agent-picker"));
  await screen.findAllByRole("menuitemradio");
  const focused = () => document.activeElement?.textContent;
  const first = focused();

  fireEvent.keyDown(document.activeElement as Element, { key: "ArrowDown" });
  const second = focused();
  fireEvent.keyDown(document.activeElement as Element, { key: "ArrowDown" });

  expect([first, second, focused()]).toEqual(["Assistant", "🔎Researcher", "Assistant"]);
});

test("the list of agents has no accessibility violations", async () => {
  await shownChat([question(1, "Hi")]);
  fireEvent.click(screen.getByTestId("agent-picker"));
  await screen.findAllByRole("menuitemradio");

  expect(await violations()).toEqual([]);
});
