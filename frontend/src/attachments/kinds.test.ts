import { expect, test } from "vitest";
import { attachment } from "../fakeRows";
import { kindInWords, languageOf, sectionsOf } from "./kinds";

test("a text is cut where a page, a slide or a sheet begins, and nowhere else", () => {
  const text = "[Page 1]\nPlums\n[Page two of it]\n\n[Page 2]\n\n[Sheet A]\n1\t2\n";

  expect(sectionsOf(text)).toEqual([
    { title: "Page 1", text: "Plums" },
    { title: "Page two of it", text: "" },
    { title: "Page 2", text: "" },
    { title: "Sheet A", text: "1\t2" },
  ]);
  expect(sectionsOf("Plums, [Page 1] of many")).toEqual([{ title: "", text: "Plums, [Page 1] of many" }]);
});

test.each([
  ["main.py", "python"],
  ["MAIN.PY", "python"],
  ["notes", ""],
  ["a.constructor", ""],
])("%s is read as %s", (name, language) => {
  expect(languageOf(name)).toBe(language);
});

test("a kind has a name that people know", () => {
  const sheet = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet";

  expect(kindInWords(attachment(1, "a", { media_type: sheet }))).toBe("Excel table");
  expect(kindInWords(attachment(1, "a", { media_type: "application/octet-stream" }))).toBe("File");
});
