import { cleanup, fireEvent, render, screen, waitFor, within } from "@testing-library/preact";
import axe from "axe-core";
import { afterEach, expect, test } from "vitest";
import { commandsOver, type SkippedReport, type Transfer } from "../api.gen";
import { AppView } from "../app/AppView";
import { createApp } from "../app/app";
import { appState, conversationRow } from "../fakeRows";
import { type Answer, FakeServer, Refusal } from "../fakeServer";

afterEach(cleanup);

const nothing = { conversations: 0, messages: 0, files: 0, already_here: 0, grown: 0, beside: 0 };

function transfer(changes: Partial<Transfer> = {}): Transfer {
  return {
    id: 1,
    kind: "import",
    state: "looking",
    name: "conversations.zip",
    program: "chatgpt",
    path: "",
    done: 0,
    total: 0,
    counts: nothing,
    skipped: 0,
    message: "",
    hint: "",
    is_from_terminal: false,
    ...changes,
  };
}

const report: SkippedReport = {
  counts: [
    { kind: "message", reason: "It is empty.", count: 52 },
    { kind: "note", reason: "It holds characters that cannot be seen.", count: 1 },
  ],
  items: [
    { kind: "message", conversation: "Dinner", what: "assistant, text", reason: "It is empty." },
    { kind: "note", conversation: "Dinner", what: "Hi", reason: "It holds characters that cannot be seen." },
  ],
};

async function shown(answers: Record<string, Answer> = {}, hash = "#/settings/data") {
  const server = new FakeServer({
    "app.state": () => appState(),
    "conversations.pinned": () => [],
    "sorting.overview": () => ({ folders: [], tags: [] }),
    "conversations.page": () => ({ conversations: [conversationRow()], next_cursor: null }),
    "transfers.current": () => null,
    "transfers.skipped": () => report,
    "transfers.put_away": () => null,
    "transfers.cancel": () => null,
    ...answers,
  });
  const bridge = server.bridge({ onEvents: (events, n) => events.map((event) => app.apply(event, n)) });
  const app = createApp(commandsOver(bridge.call, bridge.stream), { hash });
  bridge.connect();
  server.hello();
  await app.start();
  render(<AppView app={app} isConnected={bridge.isConnected} />);
  return server;
}

const told = (server: FakeServer, changes: Partial<Transfer>) =>
  server.publish({ type: "transfer_changed", transfer: transfer(changes) });

test("a file is looked at before anything is imported, and then is", async () => {
  const server = await shown({
    "transfers.choose_import": () => transfer(),
    "transfers.import_": () => transfer({ id: 2, state: "working" }),
  });
  fireEvent.click(await screen.findByRole("button", { name: "Import…" }));
  await waitFor(() => expect(server.params("transfers.choose_import")).toHaveLength(1));
  told(server, {});
  const dialog = await screen.findByRole("dialog", { name: "Import conversations" });
  expect(within(dialog).getByLabelText("Reading “conversations.zip”")).toBeTruthy();

  const counts = { ...nothing, conversations: 1200, messages: 1, files: 3, already_here: 1, grown: 2 };
  told(server, { state: "looked", counts, skipped: 53 });
  expect(await within(dialog).findByText("1,200 conversations with 1 message and 3 files")).toBeTruthy();
  expect(within(dialog).getByText("1 conversation is here already")).toBeTruthy();
  const left = await within(dialog).findByRole("region", { name: "Would be left out" });
  expect(within(left).getByText("52 messages")).toBeTruthy();
  expect(within(left).getByText("and 51 more")).toBeTruthy();
  expect(within(dialog).getByRole("region", { name: "To know" })).toBeTruthy();
  expect((await axe.run(dialog)).violations).toEqual([]);

  fireEvent.click(within(dialog).getByRole("button", { name: "Import" }));
  await waitFor(() => expect(server.params("transfers.import_")).toHaveLength(1));
  told(server, { id: 2, state: "working", done: 5_000_000, total: 20_000_000 });
  expect(await within(dialog).findByText("5 MB of 20 MB · 0 conversations")).toBeTruthy();
  const pages = server.params("conversations.page").length;
  told(server, { id: 2, state: "done", counts });
  expect(await within(dialog).findByText("Imported:")).toBeTruthy();
  await waitFor(() => expect(server.params("conversations.page")).toHaveLength(pages + 1));
  fireEvent.click(within(dialog).getByText("Close", { selector: "button" }));
  await waitFor(() => expect(server.params("transfers.put_away")).toHaveLength(1));
});

test("an import that is stopped says what stays", async () => {
  const server = await shown({ "transfers.current": () => transfer({ state: "working", total: 100 }) });
  const dialog = await screen.findByRole("dialog", { name: "Import conversations" });
  fireEvent.click(within(dialog).getByRole("button", { name: "Stop" }));
  await waitFor(() => expect(server.params("transfers.cancel")).toHaveLength(1));
  told(server, { state: "cancelled", counts: { ...nothing, conversations: 5, messages: 9 } });

  expect(await within(dialog).findByText("Stopped. Until then came, and stays:")).toBeTruthy();
  expect(within(dialog).getByText("5 conversations with 9 messages")).toBeTruthy();
});

test("a dialog that is closed while the work goes on comes back at its end", async () => {
  const server = await shown({ "transfers.current": () => transfer({ state: "working", total: 100 }) });
  const dialog = await screen.findByRole("dialog", { name: "Import conversations" });
  fireEvent.click(within(dialog).getByRole("button", { name: "Close" }));
  await waitFor(() => expect(screen.queryByRole("dialog")).toBeNull());
  fireEvent.click(screen.getByRole("button", { name: "Show what is under way" }));
  await screen.findByRole("dialog");
  fireEvent.click(screen.getByRole("button", { name: "Close" }));
  await waitFor(() => expect(screen.queryByRole("dialog")).toBeNull());
  told(server, { state: "failed", message: "The file ends in the middle.", hint: "Download it again." });

  expect((await screen.findByRole("alert")).textContent).toContain("The file ends in the middle.");
});

test("what a terminal imports opens no dialog, and is listed at its end", async () => {
  const server = await shown();
  const pages = server.params("conversations.page").length;
  told(server, { state: "working", is_from_terminal: true });
  told(server, { state: "done", is_from_terminal: true });

  await waitFor(() => expect(server.params("conversations.page")).toHaveLength(pages + 1));
  expect(screen.queryByRole("dialog")).toBeNull();
});

test("a file that cannot be read is refused where it was chosen", async () => {
  await shown({
    "transfers.choose_import": () => {
      throw new Refusal("invalid_request", "This is a PDF.", "Choose a .json or .zip.");
    },
  });
  fireEvent.click(await screen.findByRole("button", { name: "Import…" }));

  expect((await screen.findByRole("alert")).textContent).toContain("This is a PDF.");
});

test("a conversation is exported from its menu, in the format that is chosen", async () => {
  const answer = () => transfer({ kind: "export", state: "working", name: "Plans.html" });
  const server = await shown({ "transfers.export": answer }, "#/");
  fireEvent.click(await screen.findByRole("button", { name: "More for Plans" }));
  fireEvent.click(screen.getByRole("menuitem", { name: "Export…" }));
  const dialog = await screen.findByRole("dialog", { name: "Export “Plans”" });
  fireEvent.click(within(dialog).getByRole("radio", { name: /Web page/ }));
  fireEvent.click(within(dialog).getByRole("button", { name: "Choose where…" }));
  await waitFor(() => expect(server.params("transfers.export")).toEqual([{ format: "html", ids: [1] }]));
  const done = { ...nothing, conversations: 1 };
  told(server, { kind: "export", state: "done", path: "/home/ada/Plans.html", counts: done });

  expect(await screen.findByText("1 conversation exported")).toBeTruthy();
  expect(screen.getByText("/home/ada/Plans.html")).toBeTruthy();
});

test("all conversations are exported from the settings, and a closed dialog writes nothing", async () => {
  const server = await shown({ "transfers.export": () => null });
  fireEvent.click(await screen.findByRole("button", { name: "Export all…" }));
  const dialog = await screen.findByRole("dialog", { name: "Export all conversations" });
  fireEvent.click(within(dialog).getByRole("button", { name: "Choose where…" }));
  await waitFor(() => expect(server.params("transfers.export")).toEqual([{ format: "json", ids: null }]));

  expect(screen.getByRole("dialog", { name: "Export all conversations" })).toBeTruthy();
  fireEvent.click(within(dialog).getByRole("button", { name: "Cancel" }));
  await waitFor(() => expect(screen.queryByRole("dialog")).toBeNull());
});
