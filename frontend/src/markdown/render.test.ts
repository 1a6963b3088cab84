import { beforeAll, describe, expect, it, vi } from "vitest";
import { splitBlocks } from "./blocks";
import { dangersIn, HOSTILE } from "./hostile";
import { arrivals } from "./lazy";
import { pathological } from "./pathological";
import { renderBlock } from "./render";

/** Markdown as the page would show it; the last block is open while `isStreaming`. */
function show(markdown: string, isStreaming = false): HTMLElement {
  const blocks = splitBlocks(markdown);
  const page = document.createElement("div");
  page.innerHTML = blocks
    .map((block, index) => String(renderBlock(block, isStreaming && index === blocks.length - 1).html))
    .join("");
  return page;
}
const streaming = (markdown: string) => show(markdown, true);

/** What a reader reads, with runs of white space as one space. */
function textOf(element: Element): string {
  return (element.textContent ?? "").replace(/\s+/g, " ").trim();
}

beforeAll(async () => {
  // Loads both lazy parts, so that what follows is rendered with them.
  show("$x$\n\n```js\n1\n```");
  await vi.waitUntil(() => arrivals.value >= 2);
});

describe("a finished text", () => {
  it("shows headings, emphasis, strikes and code", () => {
    const page = show("## A *b* **c** ~~d~~ `e`");

    expect(page.innerHTML.trim()).toBe(
      "<h2>A <em>b</em> <strong>c</strong> <del>d</del> <code>e</code></h2>",
    );
  });

  it("shows tables that scroll on their own, with their alignment", () => {
    const page = show("| a | b |\n|:-:|--:|\n| 1 | 2<br>3 |");

    expect(page.querySelector(".md-table > table")).not.toBeNull();
    expect(page.querySelector("td.md-center")?.textContent).toBe("1");
    expect(page.querySelector("td.md-right")?.innerHTML).toBe("2<br>3");
  });

  it("says of each task whether it is done", () => {
    const marks = show("- [x] one\n- [ ] two").querySelectorAll(".md-task [role=img]");

    expect([...marks].map((mark) => mark.getAttribute("aria-label"))).toEqual(["Done", "Not done"]);
  });

  it("keeps line breaks where the model made them", () => {
    expect(show("one\ntwo").querySelectorAll("br")).toHaveLength(1);
  });

  it("shows raw HTML as text", () => {
    expect(textOf(show('<b onclick="x">bold</b> and <!-- comment -->'))).toBe(
      '<b onclick="x">bold</b> and <!-- comment -->',
    );
  });

  it("knows the few bare tags models use, and only bare", () => {
    expect(show("H<sub>2</sub>O <kbd>Esc</kbd>").innerHTML).toContain("H<sub>2</sub>O <kbd>Esc</kbd>");
    expect(show("<kbd class=x>Esc</kbd>").querySelector("kbd")).toBeNull();
  });

  it("does not strike through what stands between two single tildes", () => {
    expect(show("20~25 and 30~40").querySelector("del")).toBeNull();
  });

  it("renders incomplete markers literally", () => {
    for (const text of ["a **b", "a `b", "a [b](http", "a *b", "a ~~b", "a ***b", "$x", "![a](b"]) {
      expect(textOf(show(text))).toBe(text);
    }
  });

  it("finds a definition that comes blocks after its use", () => {
    const page = show("See [the docs][d].\n\nText.\n\n```\ncode\n```\n\n[d]: https://example.org 'Title'\n");

    expect(page.querySelector("a")?.getAttribute("href")).toBe("https://example.org/");
  });
});

describe("links", () => {
  it("show where they lead and open no window of their own", () => {
    const link = show("[text](https://example.org/?a=1&amp;b=2)").querySelector("a");

    expect(link?.getAttribute("href")).toBe("https://example.org/?a=1&b=2");
    expect(link?.getAttribute("title")).toBe("https://example.org/?a=1&b=2");
    expect(link?.getAttribute("rel")).toBe("noopener noreferrer");
    expect(link?.hasAttribute("target")).toBe(false);
  });

  it.each([
    "javascript:alert(1)",
    "file:///etc/passwd",
    "//example.org",
    "docs/page.md",
    "#top",
    "data:text/html,x",
  ])("to %s are text", (href) => {
    const page = show(`[text](${href})`);

    expect(page.querySelector("a")).toBeNull();
    expect(textOf(page)).toBe("text");
  });

  it("reveal a look-alike host in its ASCII form", () => {
    expect(show("[bank](https://аpple.com)").querySelector("a")?.title).toBe("https://xn--pple-43d.com/");
  });
});

describe("images", () => {
  it("are shown when they are part of the text or our own", () => {
    expect(show("![dot](data:image/png;base64,iVBORw0KGgo=)").querySelector("img")?.alt).toBe("dot");
    expect(show("![file](/files/1.png)").querySelector("img")?.getAttribute("src")).toBe("/files/1.png");
  });

  it("from elsewhere become a link, so that nothing is fetched", () => {
    const page = show("![cat](https://example.org/cat.png)");

    expect(page.querySelector("img")).toBeNull();
    expect(page.querySelector("a")?.textContent).toBe("cat");
  });
});

describe("code", () => {
  it("has a header with its language and a button that says what it copies", () => {
    const page = show("```Python title=x\nprint(1)\n```");

    expect(page.querySelector(".md-language")?.textContent).toBe("python");
    expect(page.querySelector("button.md-copy")?.getAttribute("aria-label")).toBe("Copy python code");
    expect(page.querySelector("pre code")?.textContent).toBe("print(1)");
  });

  it("is highlighted with classes when its fence is closed", () => {
    expect(show("```js\nconst a = 1;\n```").querySelector(".hljs-keyword")?.textContent).toBe("const");
  });

  it("is plain while its fence is open", () => {
    expect(streaming("```js\nconst a = 1;").querySelector("code")?.innerHTML).toBe("const a = 1;");
  });

  it("is plain past 50,000 characters, in an unknown language, and without one", () => {
    for (const text of [
      `\`\`\`js\n${"let a;\n".repeat(8_000)}\`\`\``,
      "```klingon\nlet a;\n```",
      "```\nlet a;\n```",
    ]) {
      expect(show(text).querySelector("code [class^=hljs]")).toBeNull();
    }
  });

  it("inside a list is a code block too", () => {
    expect(show("- a\n\n  ```py\n  x = 1\n  ```").querySelector("li .md-code code")?.textContent).toBe(
      "x = 1",
    );
  });
});

describe("formulas", () => {
  it("that cannot be read show their source", () => {
    expect(show("$\\frac{a$").querySelector("code.md-math-source")?.textContent).toBe("$\\frac{a$");
  });

  it("past 10,000 characters show their source", () => {
    expect(show(`$$\n${"x+".repeat(6_000)}x\n$$`).querySelector("math")).toBeNull();
  });

  it("on display show their source until they are closed", () => {
    expect(streaming("$$\na_1 *b* \\\\ c_2").querySelector("code")?.textContent).toBe("$$\na_1 *b* \\\\ c_2");
  });
});

describe("a text that is still being written", () => {
  it("incomplete link renders as inert text, not a dead clickable link", () => {
    for (const text of ["see [the docs](https://exam", "see [the docs](", "see [the docs"]) {
      const page = streaming(text);

      expect(page.querySelector("a")).toBeNull();
      expect(textOf(page)).toBe("see the docs");
    }
  });

  it("a bare address is no link before it has ended", () => {
    expect(streaming("see https://exam").querySelector("a")).toBeNull();
    expect(streaming("see https://example.org ").querySelector("a")).not.toBeNull();
  });

  it("a lone dash while a list streams in does not flash the previous text as heading", () => {
    for (const tail of ["-", "- ", "--", "=", "=="]) {
      const page = streaming(`Some points:\n${tail}`);

      expect(page.querySelector("h1, h2, hr")).toBeNull();
      expect(textOf(page)).toBe("Some points:");
    }
  });

  it("holds markers back until they mean something", () => {
    for (const tail of ["#", "##", "1.", "* ", ">", "``", "|", "| a | b |", "| a | b |\n|--", "<su", "$$"]) {
      expect(textOf(streaming(`Text\n${tail}`)), tail).toBe("Text");
    }
  });

  it("shows half-written emphasis and code as what it is going to be", () => {
    expect(streaming("a **bo").querySelector("strong")?.textContent).toBe("bo");
    expect(streaming("a `co").querySelector("code")?.textContent).toBe("co");
    expect(streaming("a *it").querySelector("em")?.textContent).toBe("it");
  });

  it("shows a table row by row", () => {
    expect(streaming("| a | b |\n|---|---|\n| 1 | 2 |\n| 3").querySelectorAll("tbody tr")).toHaveLength(2);
  });

  it("shows all the words it has in every state of a long text", () => {
    const text =
      "Hello **bold `code` and** [link](https://example.org) done\n\n- one\n- two\n\n| a |\n|---|\n| b |\n";
    for (let end = 1; end <= text.length; end += 1) {
      expect(dangersIn(streaming(text.slice(0, end)))).toEqual([]);
    }
  });
});

describe("a hostile text", () => {
  it.each(HOSTILE)("%s", (text) => {
    expect(dangersIn(show(text))).toEqual([]);
    expect(dangersIn(streaming(text))).toEqual([]);
    expect(dangersIn(show(`- > ${text}`))).toEqual([]);
  });

  it("is harmless however much of it has arrived", () => {
    for (const text of HOSTILE) {
      for (let end = 1; end < text.length; end += 7) {
        expect(dangersIn(streaming(text.slice(0, end))), text.slice(0, end)).toEqual([]);
      }
    }
  });
});

describe("a text made to be slow", () => {
  it.each(Object.entries(pathological(2_000)))("%s: is shown", (_, text) => {
    expect(() => show(text)).not.toThrow();
    expect(() => streaming(text)).not.toThrow();
  });

  it("keeps every character when it is shown plain", () => {
    expect(show(`${">".repeat(10_000)} x`).textContent).toBe(`${">".repeat(10_000)} x`);
    expect(show("w ".repeat(100_000)).textContent).toBe("w ".repeat(100_000));
  });
});
