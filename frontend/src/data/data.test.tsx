import { cleanup, fireEvent, render, screen, waitFor } from "@testing-library/preact";
import axe from "axe-core";
import { afterEach, expect, test } from "vitest";
import { type BackupList, type BackupRow, commandsOver, type Preview, type Statistics } from "../api.gen";
import { AppView } from "../app/AppView";
import { createApp } from "../app/app";
import { appState, NOON_MS } from "../fakeRows";
import { type Answer, FakeServer, Refusal } from "../fakeServer";

afterEach(cleanup);

const row: BackupRow = {
  name: "daily-20261125T120000Z-3",
  state: "whole",
  kind: "daily",
  made_ms: NOON_MS,
  size_bytes: 2e9,
  conversations: 1200,
  messages: 40_000,
  files: 3,
  missing_files: 2,
  is_encrypted: false,
};
const list: BackupList = {
  folder: "/data/backups",
  backups: [row],
  is_encrypted: false,
  pending: false,
  job: null,
  can_move: true,
  moved_to: null,
  moved_from: null,
};
const statistics: Statistics = {
  tables: [{ name: "message_part", rows: 40_000, bytes: 1.5e9 }],
  is_estimate: false,
  database_bytes: 2e9,
  unused_bytes: 5e8,
  wal_bytes: 0,
  files_bytes: 7e6,
  backups_bytes: 4e9,
  free_bytes: 9e10,
};
const preview: Preview = {
  source: "/data/backups/daily-20261125T120000Z-3.json",
  made_ms: NOON_MS,
  kind: "daily",
  schema: 8,
  newest_schema: 9,
  size_bytes: 2e9,
  missing_files: 1,
  comparison: {
    backup: { conversations: 2, messages: 9, files: 0, agents: 1, memories: 0 },
    here: { conversations: 3, messages: 12, files: 0, agents: 1, memories: 0 },
    only_here: { count: 25, titles: ["Plums"] },
    only_in_backup: { count: 0, titles: [] },
    changed: { count: 1, titles: ["Icebox"] },
    allows: ["start npx evil"],
  },
};

/** The page over a fake server, at Settings → Data. */
async function shown(answers: Record<string, Answer> = {}) {
  const server = new FakeServer({
    "app.state": () => appState(),
    "conversations.pinned": () => [],
    "sorting.overview": () => ({ folders: [], tags: [] }),
    "conversations.page": () => ({ conversations: [], next_cursor: null }),
    "backups.list": () => list,
    "backups.statistics": () => statistics,
    ...answers,
  });
  const bridge = server.bridge({ onEvents: (events, n) => events.map((event) => app.apply(event, n)) });
  const app = createApp(commandsOver(bridge.call, bridge.stream), { hash: "#/settings/data" });
  bridge.connect();
  server.hello();
  await app.start();
  render(<AppView app={app} isConnected={bridge.isConnected} />);
  await screen.findByText("Backups", { selector: "h2" });
  return { server, app };
}

test("a backup says when, why, how large, and what is missing", async () => {
  await shown();

  const item = await screen.findByTestId("backup-item");
  expect(item.textContent).toContain("Daily · 2.0 GB · 1,200 conversations · 2 files missing");
  expect(screen.getByText("message_part").closest("tr")?.textContent).toBe("message_part40,0001.5 GB");
  const found = await axe.run(document.body, { rules: { "color-contrast": { enabled: false } } });
  expect(found.violations.map(({ id }) => id)).toEqual([]);
});

test("what is under way is shown, can be stopped, and leaves a fresh list", async () => {
  const { server } = await shown({ "backups.stop": () => null });
  await screen.findByTestId("backup-item");

  server.publish({ type: "backups_changed", job: { work: "backup", phase: "copying", part: 0.4 } });
  await screen.findByText("Copying, 40 %");
  expect(screen.getByText<HTMLButtonElement>("Back up now").disabled).toBe(true);
  fireEvent.click(screen.getByText("Stop"));
  await waitFor(() => expect(server.params("backups.stop")).toHaveLength(1));
  const asked = server.params("backups.list").length;
  server.publish({ type: "backups_changed", job: null });

  await waitFor(() => expect(server.params("backups.list")).toHaveLength(asked + 1));
  expect(screen.queryByTestId("data-job")).toBeNull();
});

test("a restore shows what would change, and is only asked for after that", async () => {
  const { server } = await shown({
    "backups.preview": () => ({ preview }),
    "backups.restore": () => ({ confirmed: false }),
    "backups.cancel_restore": () => null,
  });

  fireEvent.click(await screen.findByLabelText(/^Restore the backup of/));
  const dialog = await screen.findByTestId("restore-dialog");
  await waitFor(() => expect(dialog.textContent).toContain("Will be gone, only here now: 25 conversations"));
  expect(dialog.textContent).toContain("and 24 more");
  expect(dialog.textContent).toContain("older Deskside");
  expect(dialog.textContent).toContain("start npx evil");
  expect(dialog.textContent).toContain("1 attached file of it could not be found");
  fireEvent.click(screen.getByText("Restore…"));
  await waitFor(() => expect(server.params("backups.restore")).toHaveLength(1));
  await waitFor(() => expect(screen.getByText<HTMLButtonElement>("Cancel").disabled).toBe(false));
  fireEvent.click(screen.getByText("Cancel"));

  await waitFor(() => expect(server.params("backups.cancel_restore")).toHaveLength(1));
  expect(screen.queryByTestId("restore-dialog")).toBeNull();
});

test("the passphrase of a chosen file is asked for, and the file not chosen again", async () => {
  let isWrong = true;
  const { server } = await shown({
    "backups.preview": (params) => {
      const { passphrase } = params as { passphrase: string | null };
      if (passphrase === null) throw new Refusal("passphrase_wanted", "This backup is encrypted.", "");
      if (isWrong) throw new Refusal("wrong_passphrase", "The passphrase does not open this backup.", "");
      return { preview };
    },
  });
  const type = async (text: string) => {
    fireEvent.input(await screen.findByLabelText("Passphrase of the backup"), { target: { value: text } });
    fireEvent.click(screen.getByText("Open"));
  };

  fireEvent.click(await screen.findByText("Restore a file…"));
  await type("wrong");
  await screen.findByText(/does not open the backup/);
  isWrong = false;
  await type("right");

  await screen.findByText("Restore…");
  expect(server.params("backups.preview")).toEqual([
    { name: null, again: false, passphrase: null },
    { name: null, again: true, passphrase: "wrong" },
    { name: null, again: true, passphrase: "right" },
  ]);
});

test("a restore that waits for the next start can be taken back", async () => {
  let pending = true;
  const { server } = await shown({
    "backups.list": () => ({ ...list, pending }),
    "backups.cancel_restore": () => {
      pending = false;
      return null;
    },
  });

  fireEvent.click(await screen.findByText("Keep what is here"));
  await waitFor(() => expect(server.params("backups.cancel_restore")).toHaveLength(1));
  server.publish({ type: "backups_changed", job: null });

  await waitFor(() => expect(screen.queryByTestId("pending-restore")).toBeNull());
});
