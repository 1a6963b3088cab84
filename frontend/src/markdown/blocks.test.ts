import { Marked } from "marked";
import { describe, expect, it } from "vitest";
import { type Block, BlockSplitter, readFence, splitBlocks } from "./blocks";
import { chunksOf, markdownFrom, randomFrom } from "./generated";
import { dialect } from "./lexer";

const CASES = 1_500;

function raws(blocks: readonly Block[]): string[] {
  return blocks.map((block) => block.raw);
}

describe("splitting a text into blocks", () => {
  it("gives the text back byte for byte when the blocks are joined", () => {
    for (let seed = 0; seed < CASES; seed += 1) {
      const text = markdownFrom(randomFrom(seed), 30);

      expect(raws(splitBlocks(text)).join(""), `seed ${seed}`).toBe(text);
    }
  });

  it("ends in the same blocks however the text was cut up on its way", () => {
    for (let seed = 0; seed < CASES; seed += 1) {
      const random = randomFrom(seed);
      const text = markdownFrom(random, 30);
      const splitter = new BlockSplitter();
      for (const chunk of chunksOf(random, text, 12)) splitter.append(chunk);
      splitter.finish();

      expect(splitter.sealed, `seed ${seed}`).toEqual(splitBlocks(text));
    }
  });

  it("never changes the raw of a sealed block, and always holds the whole text", () => {
    for (let seed = 0; seed < CASES / 5; seed += 1) {
      const random = randomFrom(seed);
      const splitter = new BlockSplitter();
      let text = "";
      let before: string[] = [];
      for (const chunk of chunksOf(random, markdownFrom(random, 30), 12)) {
        text += chunk;
        splitter.append(chunk);
        const now = raws(splitter.sealed);

        expect(now.slice(0, before.length)).toEqual(before);
        expect(now.join("") + (splitter.open?.raw ?? "")).toBe(text);
        before = now;
      }
    }
  });

  it("cuts only where the whole text has a boundary too", () => {
    const marked = new Marked(dialect);
    const differing: string[] = [];
    for (let seed = 0; seed < CASES; seed += 1) {
      // Definitions and display math are this module's own; everything else has to agree with marked
      // (which wrongly lets a table run on over a line of one tab).
      const text = markdownFrom(randomFrom(seed), 30)
        .replace(/^.*(?:\]:|\$\$|\\[[\]]).*$/gm, "word")
        .replace(/^\t$/gm, "");
      const apart = raws(splitBlocks(text)).map((raw) => marked.parse(raw, { async: false }));
      if (apart.join("") !== marked.parse(text, { async: false }))
        differing.push(`seed ${seed}: ${JSON.stringify(text)}`);
    }

    expect(differing).toEqual([]);
  });

  it("keeps a fence whole, with its blank lines, and a formula with its list", () => {
    const text = "Intro:\n```py\na\n\n\nb\n```\nAfter\n\n$$\nx\n- y\n$$\n\n- a\n\n  b\n\nend";

    expect(raws(splitBlocks(text))).toEqual([
      "Intro:\n",
      "```py\na\n\n\nb\n```\n",
      "After\n\n",
      "$$\nx\n- y\n$$\n\n",
      "- a\n\n  b\n\n",
      "end",
    ]);
  });

  it("gives a block the definitions it uses, wherever they stand", () => {
    const [use, , again] = splitBlocks("[a][One]\n\n[one]: https://e.org\n\n[ONE] and [two]\n");

    expect(use?.definitions).toBe("[one]: https://e.org");
    expect(again?.definitions).toBe("[one]: https://e.org");
  });

  it("takes a megabyte in small pieces, with and without line ends", () => {
    for (const piece of ["twenty characters..\n", "twenty characters...", "- twenty characters\n"]) {
      const splitter = new BlockSplitter();
      splitter.append("```\n");
      for (let left = 50_000; left > 0; left -= 1) splitter.append(piece);
      splitter.finish();

      expect(splitter.sealed).toHaveLength(1);
    }
  });
});

describe("reading a fence", () => {
  it.each([
    ["```js\na\n```\n", "js", "a"],
    ["```js\na", "js", "a"],
    ["```js", "js", ""],
    ["````\n```\na\n```\n````", "", "```\na\n```"],
    ["~~~ py title\n\na\n\n~~~\n\n", "py", "\na\n"],
    ["\n\n```\r\na\r\nb\r\n```\r\n", "", "a\nb"],
    ["  ```\n  a\n    b\n c\n  ```", "", "a\n  b\nc"],
    ["```\na\n``", "", "a\n``"],
  ])("%j", (raw, language, code) => {
    expect(readFence(raw)).toEqual({ language, code });
  });
});
