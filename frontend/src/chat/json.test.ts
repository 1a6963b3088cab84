import { expect, test } from "vitest";
import { formatJson, problemOfArguments, textsOfLines } from "./json";

test.each([
  ["nothing", "{}"],
  ["a list", '{"a":[1,2,{"b":null}],"c":[]}'],
  ["quotes and brackets in a text", String.raw`{"a":"he said \"{[:,\\","b":"]"}`],
  ["a text with a line end", String.raw`{"code":"a\nb\tc"}`],
  ["a number alone", "-1.5"],
])("%s is indented as JSON.stringify does it", (_name, json) => {
  expect(formatJson(json)).toBe(JSON.stringify(JSON.parse(json), null, 2));
});

test("long numbers and names that come twice are shown as they are written", () => {
  const shown = formatJson('{"id":12345678901234567890,"path":"a","path":"b"}');

  expect(shown).toBe('{\n  "id": 12345678901234567890,\n  "path": "a",\n  "path": "b"\n}');
});

test("what is not JSON is shown as it is", () => {
  expect(formatJson('{"a": ')).toBe('{"a": ');
});

test("arguments must be an object", () => {
  expect(problemOfArguments('{"a": 1}')).toBe("");
  expect(problemOfArguments("[1]")).toContain("braces");
  expect(problemOfArguments('{"a": 1,}')).toContain("not valid JSON");
});

test("texts of several lines are found for reading", () => {
  const json = JSON.stringify({ code: "a = 1\nprint(a)\n", path: "x.py", note: "one line\n" });

  expect(textsOfLines(json)).toEqual([{ name: "code", text: "a = 1\nprint(a)\n" }]);
});
