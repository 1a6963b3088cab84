import { expect, test } from "vitest";
import { contentOf, type FormField, type FormValue, fieldsOf, problemOf } from "./elicitation";

const schema = {
  type: "object",
  required: ["people", "room"],
  properties: {
    room: { type: "string", title: "Room", enum: ["a", "b"], enumNames: ["Garden", "Street"] },
    people: { type: "integer", minimum: 1, maximum: 12 },
    price: { type: "number" },
    mail: { type: "string", format: "email" },
    page: { type: "string", format: "uri" },
    at: { type: "string", format: "date-time" },
    word: { type: "string", minLength: 2, maxLength: 3 },
    coffee: { type: "boolean", default: true },
    size: { type: "string", oneOf: [{ const: "s", title: "Small" }], default: "s" },
    extras: { type: "array", minItems: 1, items: { type: "string", enum: ["Screen", "Board"] } },
  },
};
const fields = Object.fromEntries(fieldsOf(schema).map((field) => [field.name, field]));
const field = (name: string): FormField => {
  const found = fields[name];
  if (!found) throw new Error(`no field ${name}`);
  return found;
};

test("every kind of field is known by its schema", () => {
  const kinds = Object.fromEntries(
    Object.values(fields).map(({ name, kind, input }) => [name, `${kind} ${input}`]),
  );

  expect(kinds).toEqual({
    room: "choice text",
    people: "integer text",
    price: "number text",
    mail: "text email",
    page: "text url",
    at: "text datetime-local",
    word: "text text",
    coffee: "switch text",
    size: "choice text",
    extras: "choices text",
  });
  expect(field("room").choices).toEqual([
    { value: "a", label: "Garden" },
    { value: "b", label: "Street" },
  ]);
  expect([field("coffee").initial, field("size").initial]).toEqual([true, "s"]);
});

test.each<[string, FormValue, string]>([
  ["room", "", "This is needed."],
  ["people", "0", "At least 1."],
  ["people", "13", "At most 12."],
  ["people", "2.5", "A whole number."],
  ["people", "two", "This is not a number."],
  ["mail", "ada", "An e-mail address: name@example.org."],
  ["page", "example", "A whole address: https://example.org."],
  ["word", "👍", "At least 2 characters."],
  ["word", "four", "At most 3 characters."],
  ["mail", "", ""],
  ["extras", [], ""],
  ["people", "12", ""],
])("%s as %j: %s", (name, value, problem) => {
  expect(problemOf(field(name), value)).toBe(problem);
});

test("values are sent in their types, and what was left empty is left out", () => {
  const content = contentOf(Object.values(fields), {
    room: "b",
    people: "3",
    price: "2.50",
    at: "2026-11-25T12:00",
    coffee: false,
    extras: ["Board"],
  });

  expect(content).toEqual({
    room: "b",
    people: 3,
    price: 2.5,
    at: new Date("2026-11-25T12:00").toISOString(),
    coffee: false,
    size: "s",
    extras: ["Board"],
  });
});

test("a schema without properties is a form without fields", () => {
  expect(fieldsOf({ type: "object" })).toEqual([]);
});
