import { cleanup, fireEvent, screen, waitFor } from "@testing-library/preact";
import { afterEach, expect, test } from "vitest";
import type { WrittenFile } from "../api.gen";
import { shownChat, violations } from "../fakeChat";
import { NOON_MS, question, reply, toolCall } from "../fakeRows";
import { Refusal } from "../fakeServer";

afterEach(cleanup);

const wrote = toolCall({ name: "write_file", arguments: '{"path": "/home/ada/plan.md", "text": "Soup"}' });

function written(changes: Partial<WrittenFile> = {}): WrittenFile {
  return {
    id: 7,
    path: "/home/ada/plan.md",
    conversation_id: 1,
    message_id: 2,
    call_id: "call_1",
    existed: true,
    before_bytes: 10,
    after_bytes: 4,
    created_ms: NOON_MS,
    undone_ms: null,
    can_undo: true,
    ...changes,
  };
}

const shown = (rows: WrittenFile[], undo: () => WrittenFile = () => written(), call = wrote) =>
  shownChat([question(1, "Plan my week"), reply(2, "", { parts: [call] })], {
    "files.written": () => rows,
    "files.undo": undo,
  });
const button = () => screen.findByRole("button", { name: "Undo the change of /home/ada/plan.md" });

test("a file that was written can be brought back beside the call", async () => {
  const other = written({ id: 8, call_id: "call_2", path: "/home/ada/other.md" });
  const undone = written({ undone_ms: NOON_MS, can_undo: false });
  const { server } = await shown([other, written()], () => undone);
  await button();
  const before = await violations();

  fireEvent.click(await button());

  await screen.findByText("Undone");
  expect(before).toEqual([]);
  expect(server.params("files.written")).toEqual([{ message_id: 2 }]);
  expect(server.params("files.undo")).toEqual([{ id: 7 }]);
  expect(screen.queryByRole("button", { name: /Undo the change/ })).toBeNull();
});

test("a file that was changed since is left alone, and the user is told", async () => {
  await shown([written()], () => {
    throw new Refusal("conflict", "'/home/ada/plan.md' was changed since.", "Nothing was changed.");
  });

  fireEvent.click(await button());

  await screen.findByText("'/home/ada/plan.md' was changed since.");
  expect(await button()).toBeTruthy();
});

test.each([
  ["one that was undone says so", [written({ undone_ms: NOON_MS, can_undo: false })], "Undone"],
  ["one whose earlier content is gone has no way back", [written({ can_undo: false })], ""],
  ["one that wrote nothing has no way back", [], ""],
  ["an id that was used twice names no file", [written(), written({ id: 8, path: "/other.md" })], ""],
])("a call that wrote a file: %s", async (_, rows, text) => {
  const { server } = await shown(rows);
  await waitFor(() => expect(server.params("files.written")).toHaveLength(1));

  await waitFor(() => expect(document.querySelector("span.undo-write")?.textContent).toBe(text));
  expect(screen.queryByRole("button", { name: /Undo the change/ })).toBeNull();
});

test("nobody is asked about a call that wrote nothing", async () => {
  const { server } = await shown([written()], undefined, { ...wrote, status: "failed" });

  await screen.findByTestId("tool-call");
  expect(server.params("files.written")).toEqual([]);
});
