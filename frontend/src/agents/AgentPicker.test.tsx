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

test("a new name is followed by the conversation and its messages", async () => {
  const agents = [agentRow("assistant", "Assistant"), agentRow("researcher", "Researcher", { id: 2 })];
  const { server, app } = await shownChat([question(1, "Hi"), reply(2, "Hello", { agent: "Researcher" })], {
    "agents.list": () => [...agents],
    "conversations.get": () => conversationRow({ agent: "researcher" }),
  });
  await waitFor(() => expect(picked()).toBe("Agent: Researcher"));
  agents[1] = agentRow("librarian", "Librarian", { id: 2 });
  server.answers["conversations.page"] = () => ({
    conversations: [conversationRow({ agent: "librarian" })],
    next_cursor: null,
  });
  server.answers["messages.page"] = () => ({
    messages: [question(1, "Hi"), reply(2, "Hello", { agent: "Librarian" })],
    has_more: false,
    last_event: server.last,
  });
  server.publish({ type: "agents_changed" });

  await waitFor(() => expect(picked()).toBe("Agent: Librarian"));
  expect(app.agent.value).toBe("librarian");
  expect(screen.getByText("Librarian", { selector: ".message-facts span" })).toBeTruthy();
});

test("the agent that was picked for a new chat is still picked under its new name", async () => {
  const agents = [agentRow("assistant", "Assistant"), agentRow("researcher", "Researcher", { id: 2 })];
  const { server, app } = await shownChat([], { "agents.list": () => [...agents] });
  app.newChat();
  await screen.findByText("What can I help with?");
  await choose("Researcher");
  agents[1] = agentRow("librarian", "Librarian", { id: 2 });
  server.publish({ type: "agents_changed" });

  await waitFor(() => expect(picked()).toBe("Agent: Librarian"));
  expect(app.agent.value).toBe("librarian");
});

test("agents with the same label are told apart by their names", async () => {
  await shownChat([], {
    "agents.list": () => [
      agentRow("assistant", "Assistant"),
      agentRow("critic", "Critic", { id: 2 }),
      agentRow("critic-2", "Critic", { id: 3 }),
    ],
  });
  fireEvent.click(screen.getByTestId("agent-picker"));

  const offered = (await screen.findAllByRole("menuitemradio")).map(({ textContent }) => textContent);
  expect(offered).toEqual(["Assistant", "Criticcritic", "Criticcritic-2"]);
});
