import { expect, test, vi } from "vitest";
import { type AttachmentRow, commandsOver } from "../api.gen";
import { BridgeError } from "../bridge";
import { attachment } from "../fakeRows";
import { type Answer, FakeServer, Refusal } from "../fakeServer";
import { createFiles, MOST_FILES } from "./files";
import type { Upload, UploadOptions } from "./upload";

const REFUSED = new BridgeError("store_full", "The disk is full.", "", true);

/** Each upload waits for the test to end it, as Python would. */
function parts(answers: Record<string, Answer> = {}) {
  const server = new FakeServer({
    "attachments.draft": () => [],
    "attachments.detach": () => null,
    ...answers,
  });
  const bridge = server.bridge();
  bridge.connect();
  server.hello();
  const uploads: { file: File; options: UploadOptions; arrive(row: AttachmentRow): void; fail(): void }[] =
    [];
  const upload: Upload = (file, options) =>
    new Promise((resolve, reject) => {
      uploads.push({ file, options, arrive: resolve, fail: () => reject(REFUSED) });
      options.signal.addEventListener("abort", () => reject(new BridgeError("cancelled", "")));
    });
  const files = createFiles(commandsOver(bridge.call, bridge.stream), upload);
  const states = (id: number | null) =>
    files.of(id).value.map(({ name, row, problem, part }) => [name, row?.id ?? problem?.code ?? part]);
  return { server, files, uploads, states };
}

const file = (name: string) => new File(["plums"], name);

test("what Python has of a draft is there again", async () => {
  const { states, server } = parts({ "attachments.draft": () => [attachment(7, "a.txt")] });

  await vi.waitFor(() => expect(states(1)).toEqual([["a.txt", 7]]));
  expect(server.params("attachments.draft")).toEqual([{ conversation_id: 1 }]);
});

test("files are sent one after the other, so that they keep their order, with their progress", async () => {
  const { files, uploads, states } = parts();

  files.add(1, [file("a"), file("b"), file("c")]);
  uploads[0]?.options.onProgress(0.5);

  expect(uploads.map(({ file, options }) => [file.name, options.conversationId])).toEqual([["a", 1]]);
  expect(states(1)).toEqual([
    ["a", 0.5],
    ["b", 0],
    ["c", 0],
  ]);
  uploads[0]?.arrive(attachment(3, "a"));
  await vi.waitFor(() => expect(uploads.map(({ file }) => file.name)).toEqual(["a", "b"]));
  expect(states(1)[0]).toEqual(["a", 3]);
});

test("what was read of a file is known, also when that is heard of before the file has arrived", async () => {
  const { files, uploads } = parts();
  files.add(1, [file("a")]);
  const row = attachment(3, "a", { text_status: "waiting" });

  files.update({ ...row, text_status: "ready" });
  uploads[0]?.arrive(row);

  await vi.waitFor(() => expect(files.of(1).value[0]?.row?.text_status).toBe("ready"));
});

test("a file that was refused stays, and can be sent again", async () => {
  const { files, uploads, states } = parts();
  files.add(null, [file("a")]);
  uploads[0]?.fail();
  await vi.waitFor(() => expect(states(null)).toEqual([["a", "store_full"]]));

  files.retry(null, files.of(null).value[0]?.key ?? 0);
  uploads[1]?.arrive(attachment(4, "a"));

  await vi.waitFor(() => expect(states(null)).toEqual([["a", 4]]));
});

test("a file that is taken off while it is sent is not sent on", async () => {
  const { files, uploads, states, server } = parts();
  files.add(1, [file("a"), file("b"), file("c")]);

  await files.remove(1, files.of(1).value[0]?.key ?? 0);

  expect(uploads[0]?.options.signal.aborted).toBe(true);
  await vi.waitFor(() => expect(uploads.map(({ file }) => file.name)).toEqual(["a", "b"]));
  expect(states(1).map(([name]) => name)).toEqual(["b", "c"]);
  expect(server.params("attachments.detach")).toEqual([]);
});

test("a file that is taken off as it arrives is taken off in Python, too", async () => {
  const { files, uploads, states, server } = parts();
  files.add(1, [file("a")]);
  uploads[0]?.arrive(attachment(5, "a"));

  await files.remove(1, files.of(1).value[0]?.key ?? 0);

  await vi.waitFor(() => expect(server.params("attachments.detach")).toEqual([{ id: 5 }]));
  expect(states(1)).toEqual([]);
});

test("a file that is there is taken off; one that Python cannot take off comes back", async () => {
  const left = [attachment(7, "a"), attachment(8, "b")];
  const { files, states, server } = parts({
    "attachments.draft": () => left,
    "attachments.detach": () => {
      if (left.length === 1) throw new Refusal("store_full", "The disk is full.");
      left.shift();
      return null;
    },
  });
  await vi.waitFor(() => expect(states(1)).toHaveLength(2));

  await files.remove(1, files.of(1).value[0]?.key ?? 0);
  expect(states(1)).toEqual([["b", 8]]);
  await files.remove(1, files.of(1).value[0]?.key ?? 0);

  expect(server.params("attachments.detach")).toEqual([{ id: 7 }, { id: 8 }]);
  expect(states(1)).toEqual([["b", 8]]);
});

test("what was sent leaves the draft, and what came meanwhile stays", async () => {
  const { files, uploads, states } = parts({ "attachments.draft": () => [attachment(7, "a")] });
  await vi.waitFor(() => expect(states(1)).toHaveLength(1));
  files.add(1, [file("b")]);

  files.sent(1, [7]);

  expect(states(1)).toEqual([["b", 0]]);
  uploads[0]?.arrive(attachment(8, "b"));
  await vi.waitFor(() => expect(states(1)).toEqual([["b", 8]]));
});

test("after events were missed, files are what Python has, and those that are under way", async () => {
  let rows = [attachment(7, "a"), attachment(8, "b")];
  const { files, states } = parts({ "attachments.draft": () => rows });
  await vi.waitFor(() => expect(states(1)).toHaveLength(2));
  files.add(1, [file("c")]);

  rows = [attachment(8, "b", { text_status: "failed" })];
  await files.reload();

  expect(states(1)).toEqual([
    ["b", 8],
    ["c", 0],
  ]);
  expect(files.of(1).value[0]?.row?.text_status).toBe("failed");
});

test("a question takes so many files and no more", () => {
  const { files, states } = parts();

  const leftOut = files.add(
    1,
    Array.from({ length: MOST_FILES + 3 }, (_, at) => file(`${at}`)),
  );

  expect(leftOut).toBe(3);
  expect(states(1)).toHaveLength(MOST_FILES);
});
