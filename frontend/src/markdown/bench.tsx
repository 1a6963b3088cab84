/**
 * The page of build/bench/markdown.py: measures in a real engine what an update of a streaming answer costs, and
 * repeats there the tests for which happy-dom is too unlike one. Not part of the product's bundle.
 */

import { signal } from "@preact/signals";
import DOMPurify from "dompurify";
import { marked } from "marked";
import { options, render } from "preact";
import { splitBlocks } from "./blocks";
import { dangersIn, HOSTILE } from "./hostile";
import { Markdown } from "./Markdown";
import { pathological } from "./pathological";
import { renderBlock } from "./render";

interface Timing {
  updates: number;
  mean_ms: number;
  p95_ms: number;
  max_ms: number;
}

const PIECE_CHARS = 20;
const ANSWER_CHARS = 24_000;

/** One deterministic answer with everything in it: headings, prose, lists, tables, code, formulas. */
function answer(): string {
  let text = "";
  for (let part = 1; text.length < ANSWER_CHARS; part += 1) {
    text += `## Part ${part}: what it is about

A paragraph with **bold words**, *emphasis*, \`inline code\` and [a link](https://example.org/page?id=${part}), long
enough to wrap twice in any window. It costs $5 to $10, and inline $E_${part} = mc^2$ is a formula in it.

1. The first point, with some words
   - a nested point about \`value_${part}\`
   - another one, a little longer than the first
2. The second point
3. The third point, **important**

| Name | Value | Note |
|:-----|------:|------|
| alpha | ${part * 17} | the first |
| beta | ${part * 31} | the second, with \`code\` |
| gamma | ${part * 47} | the third |

\`\`\`python
def part_${part}(values: list[int]) -> int:
    """Sum what is there."""
    total = 0
    for value in values:
        if value % ${part + 1} == 0:
            total += value * ${part}  # weighted
    return total
\`\`\`

$$
\\sum_{n=1}^{${part}} \\frac{1}{n^2} = \\frac{a_${part}}{b_${part}}
$$

> A quote that closes the part, with **strong** words in it.

`;
  }
  return text.slice(0, ANSWER_CHARS);
}

/** A list and a code block as long as they get: the open block is re-rendered whole at each piece. */
function longBlock(kind: "list" | "code"): string {
  const line = (n: number) =>
    kind === "list" ? `- point **${n}** with \`code\` and words\n` : `value_${n} = compute(${n})\n`;
  const lines = Array.from({ length: 200 }, (_, n) => line(n)).join("");
  return kind === "list" ? lines : `\`\`\`python\n${lines}`;
}

const frames: FrameRequestCallback[] = [];

const now = performance.now.bind(performance);

/**
 * Frames and Preact's renders happen when `drain` says so, so that an update can be timed as one piece of work. For
 * the page time stands still: it would leave out updates after a dear one, and here every piece has to be shown.
 */
function takeOverScheduling(): void {
  performance.now = () => 0;
  globalThis.requestAnimationFrame = (callback) => frames.push(callback);
  options.debounceRendering = (callback) => frames.push(callback);
}

function drain(): void {
  for (let callback = frames.shift(); callback; callback = frames.shift()) {
    callback(0);
  }
}

/** Each piece's main-thread time: split, render, sanitise, patch, and the style and layout it causes. */
function timed(text: string, show: (shown: string) => void): Timing {
  const times: number[] = [];
  for (let end = PIECE_CHARS; end < text.length + PIECE_CHARS; end += PIECE_CHARS) {
    const startedMs = now();
    show(text.slice(0, end));
    // Reading a size makes the engine do style and layout now.
    void document.body.offsetHeight;
    times.push(now() - startedMs);
  }
  times.sort((a, b) => a - b);
  const rounded = (ms: number) => Math.round(ms * 1_000) / 1_000;
  return {
    updates: times.length,
    mean_ms: rounded(times.reduce((sum, ms) => sum + ms, 0) / times.length),
    p95_ms: rounded(times[Math.floor(times.length * 0.95)] ?? 0),
    max_ms: rounded(times.at(-1) ?? 0),
  };
}

function emptyPage(): HTMLElement {
  const root = document.createElement("main");
  document.body.replaceChildren(root);
  return root;
}

async function stream(text: string): Promise<Timing> {
  const root = emptyPage();
  const shown = signal("");
  render(<Markdown text={shown} streaming={true} onOpenLink={() => {}} />, root);
  drain();
  // The component listens to its text from after its first paint on.
  await new Promise((resolve) => setTimeout(resolve, 100));
  const timing = timed(text, (part) => {
    shown.value = part;
    drain();
  });
  // Without this, measuring a page that shows nothing would look like a triumph.
  const lastWord = /(\w+)\W*$/.exec(text)?.[1] ?? "";
  const page = root.textContent ?? "";
  if (!page.includes(lastWord) || page.length < text.length / 2) {
    throw new Error(`the page shows ${page.length} of ${text.length} characters`);
  }
  return timing;
}

/** The usual way: the whole text through the same parser and sanitiser at each piece. */
function naive(text: string): Timing {
  const root = emptyPage();
  return timed(text, (part) => {
    const html = DOMPurify.sanitize(marked.parse(part, { async: false }), { RETURN_TRUSTED_TYPE: true });
    root.innerHTML = html as unknown as string;
  });
}

/** Show each hostile text, click what can be clicked, and say what should not be there. */
function hostile(): string[] {
  const root = emptyPage();
  const opened: string[] = [];
  return HOSTILE.flatMap((text) => {
    render(<Markdown key={text} text={text} onOpenLink={(url) => opened.push(url)} />, root);
    drain();
    for (const link of root.querySelectorAll("a")) link.click();
    return [...dangersIn(root), ...opened.filter((url) => !/^(?:https?:\/\/|mailto:)/.test(url))];
  });
}

/** The slowest of the texts made to be slow, finished and growing. */
function slowest(size: number): { name: string; ms: number }[] {
  const times = Object.entries(pathological(size)).flatMap(([name, text]) =>
    [false, true].map((isOpen) => {
      const startedMs = now();
      for (const block of splitBlocks(text).slice(0, 20)) renderBlock(block, isOpen);
      return { name: isOpen ? `${name} (growing)` : name, ms: Math.round(now() - startedMs) };
    }),
  );
  return times.sort((a, b) => b.ms - a.ms).slice(0, 5);
}

function formulas(): string[] {
  const root = emptyPage();
  render(
    <Markdown text={"$\\sqrt{x}$ and\n\n$$\n\\boxed{\\color{red} y}\n$$"} onOpenLink={() => {}} />,
    root,
  );
  drain();
  return [...root.querySelectorAll("math")].map((math) => `${math.namespaceURI} ${math.textContent}`);
}

takeOverScheduling();
const ours = answer();
const bench = {
  /** Loads the lazy parts, so that no measured update waits for them. */
  warmUp: () => stream("$x$\n\n```js\n1\n```\n\n"),
  stream: () => stream(ours),
  naive: () => naive(ours),
  longList: () => stream(longBlock("list")),
  longCode: () => stream(longBlock("code")),
  hostile,
  formulas,
  slowest,
};

declare global {
  interface Window {
    bench: typeof bench;
  }
}
window.bench = bench;
