import { expect, test } from "vitest";
import { conversationRow } from "../fakeRows";
import { groupByDay } from "./dates";

const NOW = new Date(2026, 2, 3, 9, 30);
const at = (...when: [number, number, number, number, number]) =>
  conversationRow({ title: when.join("-"), updated_ms: new Date(...when).getTime() });

test("conversations are grouped by calendar day, not by hours passed", () => {
  const groups = groupByDay(
    [
      at(2026, 2, 3, 0, 0),
      at(2026, 2, 2, 23, 59),
      at(2026, 2, 2, 0, 0),
      at(2026, 2, 1, 23, 59),
      at(2026, 1, 24, 0, 0),
      at(2026, 1, 23, 23, 59),
    ],
    NOW,
  );

  expect(groups.map(({ label, rows }) => [label, rows.length])).toEqual([
    ["Today", 1],
    ["Yesterday", 2],
    ["Previous 7 days", 2],
    ["Older", 1],
  ]);
});

test("a group without conversations is left out", () => {
  expect(groupByDay([at(2020, 0, 1, 0, 0)], NOW).map(({ label }) => label)).toEqual(["Older"]);
});
