import { describe, expect, it } from "vitest";
import { splitBlocks } from "./blocks";
import { dangersIn, HOSTILE } from "./hostile";
import { renderBlock } from "./render";

function fragment(html: unknown): DocumentFragment {
  const template = document.createElement("template");
  template.innerHTML = String(html);
  return template.content;
}
function show(markdown: string, isOpen = false): DocumentFragment {
  return fragment(splitBlocks(markdown).map((b) => String(renderBlock(b, isOpen).html)).join(""));
}
describe("hostile", () => {
  it.each(HOSTILE)("%s", (text) => {
    expect(dangersIn(show(text))).toEqual([]);
    expect(dangersIn(show(text, true))).toEqual([]);
  });
  it("basic", () => {
    const f = document.createElement("div");
    f.append(show("a [x](https://e.org) **b** $5 and $6 <b>\n\n| a | b |\n|--|:-:|\n| 1 | 2 |\n\n- [x] done"));
    console.log(f.innerHTML);
  });
});
