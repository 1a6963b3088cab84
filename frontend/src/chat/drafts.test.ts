import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { commandsOver } from "../api.gen";
import { type Answer, FakeServer, Refusal } from "../fakeServer";
import { createDrafts } from "./drafts";

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

function drafts(answer: Answer = () => null) {
  const server = new FakeServer({ "conversations.save_draft": answer });
  const bridge = server.bridge();
  bridge.connect();
  server.hello();
  const saved = () => server.params("conversations.save_draft");
  return { server, saved, ...createDrafts(commandsOver(bridge.call, bridge.stream)) };
}

test("a draft is saved once typing pauses", async () => {
  const { change, saved } = drafts();

  change(1, "a");
  await vi.advanceTimersByTimeAsync(299);
  change(1, "ab");
  await vi.advanceTimersByTimeAsync(299);
  const early = saved().length;
  await vi.advanceTimersByTimeAsync(1);

  expect(early).toBe(0);
  expect(saved()).toEqual([{ id: 1, text: "ab" }]);
});

test("drafts of two conversations are both saved", async () => {
  const { change, save, saved } = drafts();

  change(null, "new");
  change(1, "old");
  await save();

  expect(saved()).toEqual([
    { id: null, text: "new" },
    { id: 1, text: "old" },
  ]);
});

test("a draft that could not be saved is saved with the next change", async () => {
  let isFull = true;
  const { change, save, saved } = drafts(() => {
    if (isFull) throw new Refusal("store_full", "The disk is full.");
    return null;
  });
  change(1, "a");
  await save();

  isFull = false;
  change(2, "b");
  await save();

  expect(saved().slice(1)).toEqual([
    { id: 1, text: "a" },
    { id: 2, text: "b" },
  ]);
});

test("what is stored fills the draft once, and never overwrites what is typed", () => {
  const { open, change } = drafts();

  change(1, "typed");

  expect(open(1, "stored").value).toBe("typed");
  expect(open(2, "stored").value).toBe("stored");
});

test("what an answer did not get to read comes back into the empty composer", async () => {
  const { open, change, clearSteering, takeOver, saved } = drafts();
  open(1, "");
  change(1, "Only for flats");
  await vi.advanceTimersByTimeAsync(300);
  clearSteering(1);
  await vi.advanceTimersByTimeAsync(0);

  takeOver(1, "Only for flats");
  await vi.advanceTimersByTimeAsync(300);

  expect(open(1, "").value).toBe("Only for flats");
  expect(saved().at(-1)).toEqual({ id: 1, text: "Only for flats" });
});

test("it goes before what is typed meanwhile, once", async () => {
  const { open, change, takeOver } = drafts();
  open(1, "");
  change(1, "Next idea");
  await vi.advanceTimersByTimeAsync(300);

  takeOver(1, "Only for flats\n\nNext idea");
  takeOver(1, "Only for flats\n\nNext idea");

  expect(open(1, "").value).toBe("Only for flats\n\nNext idea");
});

test("a draft that Python has from here is not taken for something new", async () => {
  const { open, change, save, clear, takeOver } = drafts();
  open(1, "from last time");
  change(1, "Hi");
  void save();
  clear(1);

  takeOver(1, "Hi");
  takeOver(1, "from last time");
  takeOver(1, "");

  expect(open(1, "").value).toBe("");
});
