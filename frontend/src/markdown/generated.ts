/** Generated cases for tests: markdown-like texts and ways to cut them up, the same for the same seed. */

export type Random = () => number;

/** Mulberry32: small, and good enough to find bugs. Returns numbers in [0, 1). */
export function randomFrom(seed: number): Random {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}

export function pick<T>(random: Random, choices: readonly T[]): T {
  return choices[Math.floor(random() * choices.length)] as T;
}

/** Lines that start, continue, interrupt or end every kind of block, well formed or not. */
const LINES = [
  "word **bold** and `code`",
  "another line",
  "# heading",
  "## ",
  "---",
  "===",
  "-",
  "- item",
  "* item",
  "+ [ ] task",
  "1. first",
  "2) second",
  "10. tenth",
  "  - nested",
  "    - deeper",
  "   three",
  "    four",
  "\tTab",
  "  two",
  "```",
  "```py",
  "   ```",
  "  ```js",
  "    ```",
  "~~~",
  "````",
  "> quote",
  "> - quoted item",
  "> ```",
  ">",
  "| a | b |",
  "|---|---|",
  "| 1 | 2 |",
  "a | b",
  "--|--",
  "$$",
  "x - y",
  "\\[",
  "\\]",
  "$$ x $$",
  "[text][label] and [label]",
  "[label]: https://example.org 'Title'",
  "[^1]: note",
  "<div>",
  "</div>",
  "<!-- comment",
  "***",
  "- - -",
  "* ```",
  "  lazy *unfinished",
  "ends with backslash\\",
] as const;
const LINE_ENDS = ["\n", "\n", "\n", "\n", "\r\n", "\r"] as const;

/** A text of up to `limit` lines; about every third line is blank. */
export function markdownFrom(random: Random, limit: number): string {
  const end = random() < 0.7 ? "\n" : null;
  let text = "";
  for (let left = 1 + Math.floor(random() * limit); left > 0; left -= 1) {
    if (random() < 0.35) text += pick(random, ["", "", "  ", "\t"]) + (end ?? pick(random, LINE_ENDS));
    text += pick(random, LINES) + (end ?? pick(random, LINE_ENDS));
  }
  return random() < 0.3 ? text.trimEnd() : text;
}

/** The same text in pieces of 1 to `longest` characters. */
export function chunksOf(random: Random, text: string, longest: number): string[] {
  const chunks: string[] = [];
  for (let at = 0; at < text.length; ) {
    const length = 1 + Math.floor(random() * longest);
    chunks.push(text.slice(at, at + length));
    at += length;
  }
  return chunks;
}
