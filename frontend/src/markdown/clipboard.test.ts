import { expect, test } from "vitest";
import { clipboardHtml } from "./clipboard";

test("an answer is plain HTML without anything of the page", () => {
  const html = clipboardHtml(
    "# Plums\n\n- **cold**\n- [x] `sweet`\n\n```py\nprint(1 < 2)\n```\n\n|a|b|\n|-|-|\n|1|2|",
  );

  expect(html).toContain("<h1>Plums</h1>");
  expect(html).toContain("<strong>cold</strong>");
  expect(html).toContain("☑ <code>sweet</code>");
  expect(html).toContain('<pre><code class="language-py">print(1 &lt; 2)');
  expect(html).toContain("<td>1</td>");
  expect(html).not.toMatch(/button|md-|style/);
});

test.each([
  ["raw HTML", '<img src=x onerror="alert(1)"><script>alert(1)</script>', /<img|<script/],
  ["an address of a script", "[press](javascript:alert(1))", /<a|href/],
  ["a picture elsewhere", "![cat](https://example.com/cat.png)", /<img|example/],
])("%s does not come along", (_, markdown, never) => {
  expect(clipboardHtml(markdown)).not.toMatch(never);
});

test("a link goes along", () => {
  expect(clipboardHtml("[here](https://example.com/?a=1&b=2)")).toContain(
    '<a href="https://example.com/?a=1&amp;b=2">here</a>',
  );
});

test("what would take too long goes as plain text alone", () => {
  expect(clipboardHtml("*a".repeat(1000))).toBeNull();
});
