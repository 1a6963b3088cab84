import { describe, expect, it } from "vitest";
import type { Block } from "./blocks";
import { splitBlocks } from "./blocks";
import { PIECE_CHARS, piecesOf } from "./pieces";

const block = (raw: string): Block => ({ raw, isFence: false, definitions: "" });
const raws = (raw: string) => piecesOf(block(raw)).map((piece) => piece.raw);
const lines = (count: number, line: (n: number) => string) =>
  Array.from({ length: count }, (_, n) => line(n)).join("");

const HEADER = "| Name | Value |\n|:--|--:|\n";
const items = lines(300, (n) => `- point **${n}** with some words\n  that go on\n`);
const rows = lines(300, (n) => `| row ${n} | ${n} |\n`);

describe("a long list", () => {
  it("is cut before items, and nothing of it is lost", () => {
    const pieces = raws(items);

    expect(pieces.length).toBeGreaterThan(4);
    expect(pieces.join("")).toBe(items);
    expect(pieces.every((piece) => piece.startsWith("- point"))).toBe(true);
    expect(Math.max(...pieces.map(({ length }) => length))).toBeLessThan(PIECE_CHARS + 100);
  });

  it("is not cut inside an item, nor where another list begins", () => {
    const nested = lines(300, (n) => `- point ${n}\n  - and one inside\n* not of this list\n`);

    expect(raws(nested).every((piece) => piece.startsWith("- point"))).toBe(true);
  });

  it("may follow a paragraph", () => {
    const pieces = raws(`These are the points:\n${items}`);

    expect(pieces[0]).toMatch(/^These are the points:\n- point/);
    expect(pieces[1]).toMatch(/^- point/);
  });
});

describe("a long table", () => {
  it("is cut between rows, each piece under the header", () => {
    const pieces = raws(HEADER + rows);

    expect(pieces.length).toBeGreaterThan(2);
    expect(pieces.every((piece) => piece.startsWith(HEADER))).toBe(true);
    expect(pieces.map((piece) => piece.slice(HEADER.length)).join("")).toBe(rows);
  });

  it("that something else follows without a blank line stays whole", () => {
    expect(raws(`${HEADER}${rows}and words`)).toHaveLength(1);
  });
});

it.each([
  ["a short list", "- a\n- b\n"],
  [
    "a long paragraph",
    lines(300, (n) => `1986. A year of ${n} words\n`).replace("1986", "So it was in 1986"),
  ],
  ["code", `\`\`\`\n${items}\`\`\`\n`],
])("%s stays whole", (_, text) => {
  for (const each of splitBlocks(text)) expect(piecesOf(each)).toEqual([each]);
});

it.each([
  ["list", items],
  ["table", HEADER + rows],
])("of a %s that grows, all pieces but the last stay what they are", (_, text) => {
  let before: string[] = [];
  for (let end = 1; end <= text.length; end += 7) {
    const now = raws(text.slice(0, end));
    if (before.length > 1) expect(now.slice(0, before.length - 1)).toEqual(before.slice(0, -1));
    before = now;
  }
  expect(before.length).toBeGreaterThan(2);
});
