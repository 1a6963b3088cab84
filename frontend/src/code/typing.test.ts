import { expect, test } from "vitest";
import { continued, type Edit, indented, outdented } from "./typing";

/** The text with the selection between two bars. */
function after(marked: string, key: (code: string, start: number, end: number) => Edit): string {
  const start = marked.indexOf("|");
  const end = marked.lastIndexOf("|") - 1;
  const code = marked.replaceAll("|", "");
  const edit = key(code, start, end);
  const text = code.slice(0, edit.from) + edit.text + code.slice(edit.to);
  return `${text.slice(0, edit.start)}|${text.slice(edit.start, edit.end)}|${text.slice(edit.end)}`;
}

test.each([
  ["||x", "    ||x"],
  ["ab||x", "ab  ||x"],
  ["a\nb||", "a\nb   ||"],
  ["|a\nb|", "    |a\n    b|"],
  ["a\n|b\n\nc|\nd", "a\n    |b\n\n    c|\nd"],
])("Tab makes %j %j", (before, expected) => {
  expect(after(before, indented)).toBe(expected);
});

test.each([
  ["    ||x", "||x"],
  ["  x||", "x||"],
  ["x||", "x||"],
  ["    |a\n    b|\nc", "|a\nb|\nc"],
  ["a\n        b||", "a\n    b||"],
])("Shift and Tab make %j %j", (before, expected) => {
  expect(after(before, outdented)).toBe(expected);
});

test.each([
  ["def f():||", "def f():\n    ||"],
  ["    x = 1||", "    x = 1\n    ||"],
  ["x||", "x\n||"],
  ["    if x:  ||y", "    if x:  \n        ||y"],
  ["f(||", "f(\n    ||"],
  ["x = {||}", "x = {\n    ||}"],
])("Enter makes %j %j", (before, expected) => {
  expect(after(before, continued)).toBe(expected);
});

test("a step can have another width", () => {
  const of2 = (key: typeof indented) => (code: string, start: number, end: number) =>
    key(code, start, end, 2);

  expect(after("a||", of2(indented))).toBe("a ||");
  expect(after("    |a\n  b|", of2(outdented))).toBe("  |a\nb|");
  expect(after("  {||", of2(continued))).toBe("  {\n    ||");
});
