import { cleanup, fireEvent, render, screen, waitFor, within } from "@testing-library/preact";
import axe from "axe-core";
import { afterEach, expect, test } from "vitest";
import { commandsOver, type GrantedFolder, type MemoryRow, type WrittenFile } from "../api.gen";
import { AppView } from "../app/AppView";
import { createApp } from "../app/app";
import { appState, conversationRow, NOON_MS, settings } from "../fakeRows";
import { type Answer, FakeServer, Refusal } from "../fakeServer";

afterEach(cleanup);

const notes: GrantedFolder = { path: "/home/ada/notes", can_write: false };
const drafts: GrantedFolder = { path: "/home/ada/drafts", can_write: true };

function memory(changes: Partial<MemoryRow> = {}): MemoryRow {
  return {
    id: 1,
    text: "Ada is allergic to nuts.",
    conversation_id: 7,
    conversation_title: "Dinner",
    is_tainted: false,
    created_ms: NOON_MS,
    updated_ms: NOON_MS,
    ...changes,
  };
}

function writtenFile(changes: Partial<WrittenFile> = {}): WrittenFile {
  return {
    id: 3,
    path: "/home/ada/drafts/plan.md",
    conversation_id: 7,
    message_id: 8,
    call_id: "call-1",
    existed: true,
    before_bytes: 10,
    after_bytes: 20,
    created_ms: NOON_MS,
    undone_ms: null,
    can_undo: true,
    ...changes,
  };
}

/** The page over a fake server, at one section of the settings. */
async function shown(section: string, answers: Record<string, Answer>) {
  let folders = [notes, drafts];
  const server = new FakeServer({
    "app.state": () => appState({ settings: { ...settings, folders } }),
    "conversations.pinned": () => [],
    "sorting.overview": () => ({ folders: [], tags: [] }),
    "conversations.page": () => ({ conversations: [], next_cursor: null }),
    "files.written": () => [],
    "memories.list": () => [],
    ...answers,
  });
  const bridge = server.bridge({ onEvents: (events, n) => events.map((event) => app.apply(event, n)) });
  const app = createApp(commandsOver(bridge.call, bridge.stream), { hash: `#/settings/${section}` });
  bridge.connect();
  server.hello();
  await app.start();
  render(<AppView app={app} isConnected={bridge.isConnected} />);
  const grant = (granted: GrantedFolder[]) => {
    folders = granted;
    server.publish({ type: "settings_changed", settings: { ...settings, folders } });
  };
  return { server, app, grant };
}

async function violations(): Promise<string[]> {
  const found = await axe.run(document.body, { rules: { "color-contrast": { enabled: false } } });
  return found.violations.map(({ id, nodes }) => `${id}: ${nodes.map((node) => node.html).join(" ")}`);
}

test("a folder is added through Python's own dialog and shown as the settings say", async () => {
  const { server, grant } = await shown("folders", { "folders.grant": () => [notes, drafts] });

  fireEvent.click(await screen.findByText("Add a folder…"));

  await waitFor(() => expect(server.params("folders.grant")).toEqual([{ can_write: false }]));
  const added: GrantedFolder = { path: "/home/ada/music", can_write: false };
  grant([notes, added]);
  await screen.findByText("/home/ada/music");
  expect(screen.queryByText(drafts.path)).toBeNull();
});

test("writing is asked for, and shown only once it holds", async () => {
  const { server, grant } = await shown("folders", { "folders.change": () => [notes, drafts] });

  const box = await screen.findByLabelText<HTMLInputElement>("May change files in notes");
  fireEvent.click(box);

  await waitFor(() =>
    expect(server.params("folders.change")).toEqual([{ path: notes.path, can_write: true }]),
  );
  await waitFor(() => expect(box.disabled).toBe(false));
  expect(box.checked).toBe(false);
  grant([{ ...notes, can_write: true }]);
  await waitFor(() => expect(box.checked).toBe(true));
});

test("a folder is removed, and without a window it is said how to add one", async () => {
  const { server } = await shown("folders", {
    "folders.remove": () => [drafts],
    "folders.grant": () => {
      throw new Refusal("needs_window", "Without a window there is no folder dialog.", "Use a terminal.");
    },
  });

  fireEvent.click(await screen.findByLabelText("Remove notes"));
  await waitFor(() => expect(server.params("folders.remove")).toEqual([{ path: notes.path }]));
  await waitFor(() => expect(screen.getByText<HTMLButtonElement>("Add a folder…").disabled).toBe(false));
  fireEvent.click(screen.getByText("Add a folder…"));

  await screen.findByText("Use a terminal.");
});

test("a changed file is brought back, or it says why not", async () => {
  let isRefused = true;
  const { server } = await shown("folders", {
    "files.written": () => [writtenFile(), writtenFile({ id: 2, path: "/home/ada/old.md", can_undo: false })],
    "files.undo": () => {
      if (isRefused) throw new Refusal("conflict", "“plan.md” was changed since.", "Nothing was changed.");
      return writtenFile({ can_undo: false, undone_ms: NOON_MS });
    },
  });

  const undo = await screen.findByLabelText("Undo the change of /home/ada/drafts/plan.md");
  fireEvent.click(undo);
  await screen.findByText("Nothing was changed.");
  isRefused = false;
  fireEvent.click(undo);

  await screen.findByText(/undone Nov/);
  expect(server.params("files.undo")).toEqual([{ id: 3 }, { id: 3 }]);
  expect(screen.queryByRole("button", { name: /^Undo/ })).toBeNull();
  expect(screen.getByText(/too long ago to be undone/)).toBeTruthy();
});

test("a memory is changed in place", async () => {
  const { server } = await shown("memory", {
    "memories.list": () => [memory()],
    "memories.change": ({ text }) => memory({ text: String(text) }),
  });

  fireEvent.click(await screen.findByLabelText("Change this memory"));
  const field = await screen.findByLabelText<HTMLTextAreaElement>("Memory");
  fireEvent.input(field, { target: { value: " Ada is allergic to peanuts. " } });
  fireEvent.click(screen.getByText("Save"));

  await screen.findByText("Ada is allergic to peanuts.");
  expect(server.params("memories.change")).toEqual([{ id: 1, text: "Ada is allergic to peanuts." }]);
});

test("a memory is deleted after a second press, and kept after a second thought", async () => {
  const { server } = await shown("memory", {
    "memories.list": () => [memory(), memory({ id: 2, text: "Ada plays chess." })],
    "memories.delete": () => null,
  });

  const [first] = await screen.findAllByLabelText("Delete this memory");
  fireEvent.click(first as HTMLElement);
  fireEvent.click(await screen.findByText("Keep"));
  await waitFor(() => expect(screen.getAllByLabelText("Delete this memory")).toHaveLength(2));
  fireEvent.click(screen.getAllByLabelText("Delete this memory")[0] as HTMLElement);
  fireEvent.click(await screen.findByText("Delete for good"));

  await waitFor(() => expect(screen.queryByText("Ada is allergic to nuts.")).toBeNull());
  expect(server.params("memories.delete")).toEqual([{ id: 1 }]);
  expect(screen.getByText("Ada plays chess.")).toBeTruthy();
});

test("a memory leads to its conversation and says when text from outside was read", async () => {
  const { app } = await shown("memory", {
    "memories.list": () => [memory({ is_tainted: true }), memory({ id: 2, conversation_id: null })],
    "conversations.get": ({ id }) => conversationRow({ id: Number(id), title: "Dinner" }),
    "messages.page": () => ({ messages: [], has_more: false, last_event: 0 }),
  });

  const [first, second] = (await screen.findAllByRole("listitem")) as [HTMLElement, HTMLElement];
  expect(within(first).getByText("written after reading text from outside")).toBeTruthy();
  expect(within(second).getByText("from a chat that was deleted")).toBeTruthy();
  fireEvent.click(within(first).getByText("Dinner"));

  await waitFor(() => expect(app.place.value).toEqual({ view: "chat", conversationId: 7 }));
});

test("a new memory appears while the list is open", async () => {
  let list = [memory()];
  const { server } = await shown("memory", { "memories.list": () => list });
  await screen.findByText("Ada is allergic to nuts.");

  list = [memory({ id: 2, text: "Ada plays chess." }), ...list];
  server.publish({ type: "memories_changed" });

  await screen.findByText("Ada plays chess.");
});

test.each(["folders", "memory"])("%s has no accessibility violations", async (section) => {
  await shown(section, { "memories.list": () => [memory()], "files.written": () => [writtenFile()] });
  await screen.findByText(section === "memory" ? "Ada is allergic to nuts." : "Changed files");
  if (section === "memory") fireEvent.click(screen.getByLabelText("Change this memory"));

  expect(await violations()).toEqual([]);
});
