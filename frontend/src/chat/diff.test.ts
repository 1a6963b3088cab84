import { expect, test } from "vitest";
import { readDiff } from "./diff";

test("lines that look like a file's name are lines inside a change", () => {
  const { groups, added, removed } = readDiff(
    "--- a\n+++ b\n@@ -1,2 +1,2 @@\n--- old rule\n+++ new rule\n same\n",
  );

  expect(groups).toEqual([
    { kind: "place", lines: ["@@ -1,2 +1,2 @@"] },
    { kind: "removed", lines: ["--- old rule"] },
    { kind: "added", lines: ["+++ new rule"] },
    { kind: "same", lines: [" same"] },
  ]);
  expect([added, removed]).toEqual([1, 1]);
});

test("no line but the header is left out", () => {
  const diff = `@@ -1 +1,500 @@\n${Array.from({ length: 500 }, (_, n) => `+line ${n}`).join("\n")}\n`;

  const lines = readDiff(`--- /dev/null\n+++ a\n${diff}`).groups.flatMap((group) => group.lines);

  expect(`${lines.join("\n")}\n`).toBe(diff);
});
