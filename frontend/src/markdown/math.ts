/**
 * Formulas: `$…$`, `\(…\)` in a line, `$$…$$`, `\[…\]` on display, as MathML (no fonts, no styles to ship).
 *
 * A dollar sign is money until it looks like a formula: pandoc's rule (no space inside the dollars, no digit
 * after the closing one), and an amount followed by words is not a formula ("between $5 and 10$").
 */

import type { TokenizerAndRendererExtension, Tokens } from "marked";
import { escapeHtml } from "./html";
import { lazily } from "./lazy";
import { Memo } from "./memo";

/** KaTeX runs synchronously; a longer formula shows its source. */
export const MATH_LIMIT_CHARS = 10_000;
/** Within a line of text; keeps a text of nothing but opening marks from being searched to its end at each. */
const INLINE_LIMIT_CHARS = 2_000;

interface MathToken extends Tokens.Generic {
  readonly type: "math";
  readonly tex: string;
  readonly isDisplay: boolean;
}

const BLANK_LINE = /\n[ \t]*\n/;
const AMOUNT_IN_WORDS = /^\d[\d.,]*\S*\s[^\\^_{}=+*<>]*$/;
const WORD_CHARACTER = /[\p{L}\p{N}\\$]/u;

const katex = lazily(async () => (await import("katex")).default);
const rendered = new Memo<string>(500_000);

/** A formula as MathML; null if KaTeX cannot read it; "waiting" until KaTeX is loaded. */
export function renderMath(tex: string, isDisplay: boolean): string | "waiting" | null {
  if (tex.length > MATH_LIMIT_CHARS) return null;
  const engine = katex();
  if (engine === null) return "waiting";
  const key = `${isDisplay}${tex}`;
  const known = rendered.get(key);
  if (known !== undefined) return known || null;
  const mathml = toMathml(engine, tex, isDisplay);
  rendered.set(key, mathml ?? "", mathml?.length ?? 0);
  return mathml;
}

function toMathml(engine: typeof import("katex").default, tex: string, isDisplay: boolean): string | null {
  try {
    const html = engine.renderToString(tex, {
      output: "mathml",
      displayMode: isDisplay,
      strict: "ignore",
      trust: false,
      maxExpand: 1_000,
    });
    // The annotation repeats the source as text, which a sanitiser that unwraps elements would show.
    return html.replace(/<annotation[^>]*>[^<]*<\/annotation>|<\/?semantics>/g, "");
  } catch (error) {
    // RangeError: thousands of nested braces exhaust the stack.
    if (error instanceof engine.ParseError || error instanceof RangeError) return null;
    throw error;
  }
}

/** The source of a formula that is not (yet) one. */
export function mathSource(raw: string): string {
  return `<code class="md-math-source">${escapeHtml(raw.trim())}</code>`;
}

/**
 * The marked extensions. `isGrowing` says whether the text being lexed may go on: then display math that has
 * not been closed is shown as source instead of being read as emphasis and escapes.
 */
export function mathExtensions(
  isGrowing: () => boolean,
  render: (token: MathToken) => string,
): TokenizerAndRendererExtension[] {
  return [
    {
      name: "mathBlock",
      level: "block",
      start: (src) => {
        const at = /\n {0,3}(?:\$\$|\\\[)/.exec(src);
        return at ? at.index + 1 : undefined;
      },
      tokenizer: (src) => readMathBlock(src, isGrowing()),
      renderer: (token) => render(token as MathToken),
    },
    {
      name: "math",
      level: "inline",
      start: (src) => {
        const at = src.indexOf("$");
        return at < 0 ? undefined : at;
      },
      tokenizer: (src, before) => readInlineMath(src, before.at(-1)?.raw.at(-1) ?? ""),
      renderer: (token) => render(token as MathToken),
    },
  ];
}

function readMathBlock(src: string, isGrowing: boolean): Tokens.Generic | undefined {
  const opening = /^ {0,3}(\$\$|\\\[)/.exec(src);
  if (!opening) return undefined;
  const start = opening[0].length;
  const end = src.indexOf(opening[1] === "$$" ? "$$" : "\\]", start);
  if (end < 0) {
    if (!isGrowing || BLANK_LINE.test(src)) return undefined;
    return { type: "mathBlock", raw: src, tex: null, isDisplay: true };
  }
  const tex = src.slice(start, end);
  const rest = /^[ \t]*(?:\n|$)/.exec(src.slice(end + 2));
  if (!rest || tex.trim() === "" || BLANK_LINE.test(tex)) return undefined;
  return { type: "mathBlock", raw: src.slice(0, end + 2 + rest[0].length), tex, isDisplay: true };
}

function readInlineMath(src: string, previous: string): Tokens.Generic | undefined {
  if (src.startsWith("\\(")) return readUntil(src, "\\)", false);
  if (src.startsWith("\\[")) return readUntil(src, "\\]", true);
  if (!src.startsWith("$") || WORD_CHARACTER.test(previous)) return undefined;
  return src.startsWith("$$") ? readUntil(src, "$$", true) : readDollars(src);
}

function readUntil(src: string, closing: string, isDisplay: boolean): Tokens.Generic | undefined {
  const end = src.slice(0, INLINE_LIMIT_CHARS).indexOf(closing, 2);
  const tex = src.slice(2, Math.max(end, 2));
  if (tex.trim() === "" || BLANK_LINE.test(tex)) return undefined;
  return { type: "math", raw: src.slice(0, end + 2), tex, isDisplay };
}

function readDollars(src: string): Tokens.Generic | undefined {
  const end = closingDollar(src);
  const tex = src.slice(1, Math.max(end, 1));
  if (tex === "" || /^\s|\s$|`/.test(tex) || /^[\p{L}\p{N}$]/u.test(src.slice(end + 1, end + 3))) {
    return undefined;
  }
  if (AMOUNT_IN_WORDS.test(tex)) return undefined;
  return { type: "math", raw: src.slice(0, end + 1), tex, isDisplay: false };
}

function closingDollar(src: string): number {
  const limit = Math.min(src.length, INLINE_LIMIT_CHARS);
  for (let at = 1; at < limit; at += 1) {
    if (src[at] === "\\") at += 1;
    else if (src[at] === "$") return at;
  }
  return -1;
}
