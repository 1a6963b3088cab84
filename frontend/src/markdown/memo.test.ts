import { expect, it } from "vitest";
import { Memo } from "./memo";

it("forgets what was used longest ago when it is full", () => {
  const memo = new Memo<string>(30);
  memo.set("a", "first", 9);
  memo.set("b", "second", 9);
  memo.set("c", "third", 9);
  memo.set("d", "fourth", 9);

  expect([memo.get("a"), memo.get("b"), memo.get("c"), memo.get("d")]).toEqual([
    undefined,
    "second",
    "third",
    "fourth",
  ]);
});

it("keeps what was used since", () => {
  const memo = new Memo<string>(20);
  memo.set("a", "first", 9);
  memo.set("b", "second", 9);
  memo.get("a");
  memo.set("c", "third", 9);

  expect([memo.get("a"), memo.get("b"), memo.get("c")]).toEqual(["first", undefined, "third"]);
});

it("counts an entry once, however often it is set, and keeps none that is too large", () => {
  const memo = new Memo<string>(20);
  for (let times = 10; times > 0; times -= 1) memo.set("a", "same", 9);
  memo.set("b", "huge", 1_000);

  expect(memo.size).toBe(10);
  expect(memo.get("b")).toBeUndefined();
});
