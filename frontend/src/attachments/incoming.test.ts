import { expect, test } from "vitest";
import { PASTED_TEXT, pastedFiles } from "./incoming";

function pasted(text: string, ...files: File[]): DataTransfer {
  return { getData: () => text, files } as unknown as DataTransfer;
}

const names = (data: DataTransfer) => pastedFiles(data).map(({ name }) => name);
const picture = (name = "image.png") => new File(["pixels"], name, { type: "image/png" });

test.each([
  ["a word", "plums"],
  ["many lines", "plums\n".repeat(19_000).slice(0, 99_999)],
  ["nothing", ""],
])("%s is typed", (_, text) => {
  expect(names(pasted(text))).toEqual([]);
});

test.each([
  ["more than a text box shows", "x".repeat(100_001)],
  ["more lines than a text box shows", "\n".repeat(20_000)],
])("%s becomes a file", async (_, text) => {
  const files = pastedFiles(pasted(text));

  expect(files.map(({ name }) => name)).toEqual([PASTED_TEXT]);
  expect(await files[0]?.text()).toBe(text);
});

test("files come with their names, a picture of the clipboard gets one", () => {
  expect(names(pasted("", new File(["x"], "a.pdf"), picture()))).toEqual(["a.pdf", "Pasted picture.png"]);
  expect(names(pasted("file:///home/ada/a.pdf", new File(["x"], "a.pdf")))).toEqual(["a.pdf"]);
});

test("a text with a picture of it, as Office gives, is typed", () => {
  expect(names(pasted("Budget 2026", picture()))).toEqual([]);
});
