import { expect, test } from "vitest";
import { fieldsOf, readArguments, writtenCall } from "./arguments";

const parameters = {
  type: "object",
  properties: {
    city: { type: "string", description: "Where to look." },
    days: { type: "integer", default: 3 },
    unit: { enum: ["c", "f"], default: "c" },
    exact: { type: "boolean" },
    tags: { anyOf: [{ type: "array", items: { type: "string" } }, { type: "null" }], default: null },
    note: { anyOf: [{ type: "string" }, { type: "null" }], default: null },
    any: {},
  },
  required: ["city", "exact"],
};

test("a field for each parameter, by what it takes", () => {
  expect(
    fieldsOf(parameters).map(({ name, kind, isRequired, fallback }) => [name, kind, isRequired, fallback]),
  ).toEqual([
    ["city", "text", true, ""],
    ["days", "number", false, "3"],
    ["unit", "choice", false, '"c"'],
    ["exact", "yes_no", true, ""],
    ["tags", "json", false, "null"],
    ["note", "text", false, "null"],
    ["any", "json", false, ""],
  ]);
});

test("a schema without properties, or with nonsense for them, has no fields", () => {
  expect(fieldsOf({})).toEqual([]);
  expect(fieldsOf({ properties: [1] })).toEqual([]);
  expect(fieldsOf({ properties: { a: 3 } })).toHaveLength(1);
});

test("what is typed becomes arguments, and what is empty is left out", () => {
  const typed = { city: "42", days: "2", unit: '"f"', exact: "true", tags: '["a"]', note: "" };

  expect(readArguments(fieldsOf(parameters), typed).arguments).toEqual({
    city: "42",
    days: 2,
    unit: "f",
    exact: true,
    tags: ["a"],
  });
});

test.each([
  [{ city: "Oslo" }, "Fill in “exact”."],
  [{ city: "Oslo", exact: "true", days: "two" }, "“days” must be a number."],
  [{ city: "Oslo", exact: "true", any: "{" }, "“any” must be JSON"],
])("%j is not enough", (typed, problem) => {
  expect(readArguments(fieldsOf(parameters), typed).problem).toContain(problem);
});

test("the call is written as Python would", () => {
  expect(writtenCall("weather", { city: "Oslo", days: 2 })).toBe('weather(city="Oslo", days=2)');
});
