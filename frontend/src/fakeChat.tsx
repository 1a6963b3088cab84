/** The page with one conversation open, over a fake server, for tests. */
import { render, screen, waitFor } from "@testing-library/preact";
import axe from "axe-core";
import { type ConversationRow, commandsOver, type MessageRow } from "./api.gen";
import { AppView } from "./app/AppView";
import { createApp } from "./app/app";
import { agentRow, appState, conversationRow } from "./fakeRows";
import { type Answer, FakeServer } from "./fakeServer";

/** Shows conversation 1 with `messages`; what Python answers otherwise can be replaced by `answers`. */
export async function shownChat(
  messages: MessageRow[],
  answers: Record<string, Answer> = {},
  row: Partial<ConversationRow> = {},
) {
  const server = new FakeServer({
    "agents.list": () => [
      agentRow("assistant", "Assistant"),
      agentRow("researcher", "Researcher", { id: 2, icon: "🔎" }),
      agentRow("retired", "Retired", { id: 3, is_active: false }),
    ],
    "app.state": () => appState(),
    "attachments.draft": () => [],
    "conversations.pinned": () => [],
    "sorting.overview": () => ({ folders: [], tags: [] }),
    "conversations.page": () => ({ conversations: [conversationRow(row)], next_cursor: null }),
    "conversations.get": () => conversationRow(row),
    "conversations.save_draft": () => null,
    "messages.page": () => ({ messages, has_more: false, last_event: 0 }),
    "messages.delegated": () => [],
    "models.available": () => [],
    "recordings.shown": () => true,
    "runs.decide": () => null,
    "runs.decide_pause": () => null,
    "runs.answer_elicitation": () => null,
    ...answers,
  });
  const bridge = server.bridge({
    onEvents: (events, n) => {
      for (const event of events) app.apply(event, n);
    },
    onReset: () => void app.reset(),
  });
  const app = createApp(commandsOver(bridge.call, bridge.stream), { hash: "#/chat/1" });
  render(<AppView app={app} isConnected={bridge.isConnected} />);
  bridge.connect();
  server.hello();
  await app.start();
  return { server, app };
}

/** A card's button, once it can be pressed. */
export async function armed(button: HTMLElement): Promise<HTMLElement> {
  await waitFor(() => {
    if (button.getAttribute("aria-disabled") !== "false") throw new Error("not yet");
  });
  return button;
}

export async function armedButton(name: string | RegExp): Promise<HTMLElement> {
  return armed(await screen.findByRole("button", { name }));
}

/** What axe finds on the page. Colours need a real engine; they were checked by hand against the tokens. */
export async function violations(): Promise<string[]> {
  const found = await axe.run(document.body, { rules: { "color-contrast": { enabled: false } } });
  return found.violations.map(({ id, nodes }) => `${id}: ${nodes.map((node) => node.html).join(" ")}`);
}
