import { cleanup, render, waitFor } from "@testing-library/preact";
import { afterEach, expect, test } from "vitest";
import { Code } from "./Code";
import { linesOf } from "./highlight";

afterEach(cleanup);

const shown = (container: Element) => [...container.querySelectorAll(".md-code-line")];
const coloured = (container: Element, kind: string) =>
  [...container.querySelectorAll(`.hljs-${kind}`)].map(({ textContent }) => textContent);

test.each([
  ["", [""]],
  ["a\nb", ["a", "b"]],
  ['<span class="s">a\nb</span>c', ['<span class="s">a</span>', '<span class="s">b</span>c']],
  [
    '<span class="s">a<span class="t">b\n\nc</span>d</span>',
    [
      '<span class="s">a<span class="t">b</span></span>',
      '<span class="s"><span class="t"></span></span>',
      '<span class="s"><span class="t">c</span>d</span>',
    ],
  ],
])("%j is cut into lines that stand alone", (html, lines) => {
  expect(linesOf(html)).toEqual(lines);
});

test("code is coloured line by line, and what is in it stays text", async () => {
  const code = 'def f():\n    """Say\n    <b>so</b>."""\n';
  const { container } = render(<Code code={code} language="python" />);

  await waitFor(() => expect(coloured(container, "keyword")).toEqual(["def"]));
  expect(coloured(container, "string")).toEqual(['"""Say', '    <b>so</b>."""']);
  expect(shown(container).map(({ textContent }) => textContent)).toEqual(code.split("\n"));
});

test.each([
  ["one\ntwo\nthree", "one\nzwei\nthree", [0, 2]],
  ["one\ntwo", "one\nand\ntwo", [0, 2]],
  ["one\ntwo\nthree", "three", [0]],
  ["one\none", "one\none\none", [0, 1]],
  ["one", "", []],
])("from %j to %j, lines that are the same stay where they are", (before, after, kept) => {
  const { container, rerender } = render(<Code code={before} language="" />);
  const old = new Set(shown(container));
  rerender(<Code code={after} language="" />);

  expect(shown(container).map(({ textContent }) => textContent)).toEqual(after.split("\n"));
  expect(shown(container).flatMap((line, at) => (old.has(line) ? [at] : []))).toEqual(kept);
});

test("code that is too long for colours is whole", () => {
  const code = `x = "${"a".repeat(60_000)}"\n# end`;
  const { container } = render(<Code code={code} language="python" />);

  expect(shown(container).map(({ textContent }) => textContent)).toEqual(code.split("\n"));
});
