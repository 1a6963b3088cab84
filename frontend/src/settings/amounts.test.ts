import { expect, test } from "vitest";
import { countField, dollarsField, formatDollars, readCount, readDollars } from "./amounts";

test.each([
  ["", null],
  ["5", 5_000_000_000],
  ["$ 0.25", 250_000_000],
  ["0,5", 500_000_000],
  ["1,234.5", 1_234_500_000_000],
  [".000000001", 1],
  ["0.1234567891", undefined],
  ["-1", undefined],
  ["five", undefined],
  [".", undefined],
  ["1e9", undefined],
])("%j in a money field is %j", (typed, nanoUsd) => {
  expect(readDollars(typed)).toBe(nanoUsd);
});

test.each([0, 1, 250_000_000, 5_000_000_000, 1_234_567_891_234])(
  "%d comes back from its field",
  (nanoUsd) => {
    expect(readDollars(dollarsField(nanoUsd))).toBe(nanoUsd);
  },
);

test.each([
  ["", null],
  ["100 000", 100_000],
  ["1,000", 1000],
  ["0", undefined],
  ["many", undefined],
])("%j in a field of whole numbers from one on is %j", (typed, count) => {
  expect(readCount(typed, 1)).toBe(count);
});

test("amounts are shown so that they say something", () => {
  expect([0, 42, 4_200_000, 4_200_000_000].map(formatDollars)).toEqual([
    "$0.00",
    "$0.000000042",
    "$0.0042",
    "$4.20",
  ]);
  expect([dollarsField(null), dollarsField(1_500_000_000), countField(null), countField(7)]).toEqual([
    "",
    "1.50",
    "",
    "7",
  ]);
});
