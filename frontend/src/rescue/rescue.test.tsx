import { cleanup, fireEvent, screen, waitFor, within } from "@testing-library/preact";
import { afterEach, expect, test } from "vitest";
import type { BackupList, BackupRow, Findings, Trouble } from "../api.gen";
import { shownChat, violations } from "../fakeChat";
import { appState, NOON_MS, question } from "../fakeRows";
import { Refusal } from "../fakeServer";

afterEach(cleanup);

const damage: Trouble = {
  code: "store_damaged",
  message: "deskside.db is damaged, so nothing more is written to it.",
  hint: "Close Deskside, then rescue what can be read: deskside rescue.",
  is_lasting: true,
};
const gone: Trouble = {
  code: "store_gone",
  message: "deskside.db was moved, removed or replaced while Deskside was running.",
  hint: "Put it back where it was.",
  is_lasting: false,
};
const findings: Findings = {
  lines: [
    { name: "Conversations", rescued: 1200, rebuilt: 0, lost: 0, may_be_more: true },
    { name: "Messages", rescued: 9000, rebuilt: 51, lost: 3, may_be_more: true },
    { name: "Everything else", rescued: 5, rebuilt: 0, lost: 0, may_be_more: false },
  ],
  is_whole: false,
  is_without_wal: true,
};

const backup: BackupRow = {
  name: "daily-20261125T120000Z-3",
  state: "whole",
  kind: "daily",
  made_ms: NOON_MS,
  size_bytes: 2_000_000,
  conversations: 3,
  messages: 9,
  files: 0,
  missing_files: 0,
  is_encrypted: false,
};

function backups(...rows: BackupRow[]): BackupList {
  return {
    folder: "/data/backups",
    backups: rows,
    is_encrypted: false,
    pending: false,
    job: null,
    can_move: true,
    moved_to: null,
    moved_from: null,
  };
}

const press = async (name: string) => fireEvent.click(await screen.findByRole("button", { name }));

function cells(): (string | null)[][] {
  const [, ...rows] = within(screen.getByTestId("findings")).getAllByRole("row");
  return rows.map((row) => [...row.children].map((cell) => cell.textContent));
}

test("a trouble is told while it lasts, with another try where one can help", async () => {
  const { server } = await shownChat([question(1, "Hi")], { "rescue.restart": () => null });
  server.publish({ type: "trouble_changed", trouble: gone });

  const bar = await screen.findByTestId("trouble");
  expect(bar.textContent).toContain("Nothing is saved. deskside.db was moved");
  expect(bar.textContent).toContain("Put it back where it was.");
  expect(within(bar).queryByRole("button")).toBeNull();

  server.publish({ type: "trouble_changed", trouble: { ...gone, code: "store_full", is_lasting: true } });
  await press("Try again");
  await waitFor(() => expect(server.params("rescue.restart")).toHaveLength(1));

  server.publish({ type: "trouble_changed", trouble: null });
  await waitFor(() => expect(screen.queryByTestId("trouble")).toBeNull());
});

test("damage offers a rescue that says what it finds before it is used", async () => {
  const { server } = await shownChat([question(1, "Hi")], {
    "backups.list": () => backups(backup, { ...backup, name: "broken", state: "damaged", size_bytes: 7 }),
    "rescue.prepare": () => findings,
    "rescue.confirm": () => null,
  });
  server.publish({ type: "trouble_changed", trouble: damage });
  await screen.findByText("2 MB");
  expect(screen.queryByText("7 bytes")).toBeNull();
  expect(await violations()).toEqual([]);

  await press("See what can be rescued");
  await screen.findByTestId("findings");
  expect(cells()).toEqual([
    ["Conversations", "1,200", "0", "not known"],
    ["Messages", "9,000", "51", "3 or more"],
    ["Everything else", "5", "0", "0"],
  ]);
  expect(screen.getByTestId("damage").textContent).toContain("belongs to another database");
  expect(server.params("rescue.confirm")).toEqual([]);

  await press("Use this and restart Deskside");
  await waitFor(() => expect(server.params("rescue.confirm")).toHaveLength(1));
});

test("who closes the offer reads on, and finds it again in the line above", async () => {
  const { server, app } = await shownChat([question(1, "Hi")], { "backups.list": () => backups() });
  server.publish({ type: "trouble_changed", trouble: damage });
  await screen.findByText(/There is no backup in the data folder/);

  await press("Open for reading only");
  await waitFor(() => expect(screen.queryByTestId("damage")).toBeNull());
  if (app.state.value) app.state.value = { ...app.state.value };
  expect(screen.queryByTestId("damage")).toBeNull();

  await press("What can be done…");
  await screen.findByTestId("damage");
  await press("Open the backups");
  await screen.findByRole("heading", { name: "Data folder" });
});

test("where nothing can be rescued, or there is no window to restart, that is said", async () => {
  const { server } = await shownChat([question(1, "Hi")], {
    "backups.list": () => backups(),
    "rescue.prepare": () => {
      throw new Refusal("store_damaged", "Nothing of the damaged database can be read.", "Restore a backup.");
    },
    "rescue.confirm": () => {
      throw new Refusal("needs_window", "Without a window Deskside does not start itself again.");
    },
  });
  server.publish({ type: "trouble_changed", trouble: damage });
  await screen.findByTestId("damage");

  await press("See what can be rescued");
  await screen.findByText("Nothing of the damaged database can be read.");

  server.answers["rescue.prepare"] = () => findings;
  await press("See what can be rescued");
  await screen.findByTestId("findings");
  await press("Use this and restart Deskside");
  await screen.findByText("The rescued data is used when Deskside is started again.");
});

test("a rescue that took effect is told until it was seen", async () => {
  const rescued = { findings, kept: "/data/damaged-20261125T200722Z", at_ms: NOON_MS, kept_files: 2 };
  const { server } = await shownChat([question(1, "Hi")], {
    "app.state": () => appState({ rescued }),
    "rescue.seen": () => null,
  });

  const told = await screen.findByTestId("rescued");
  expect(told.textContent).toContain("/data/damaged-20261125T200722Z");
  expect(told.textContent).toContain("refers to are kept, too: 2.");
  await press("Go on");

  await waitFor(() => expect(screen.queryByTestId("rescued")).toBeNull());
  expect(server.params("rescue.seen")).toHaveLength(1);
});
