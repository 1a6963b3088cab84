/**
 * Markdown blocks to HTML: the one renderer, for an answer that is streaming and for one from last year.
 *
 * markdown → (open block only: finish what is half-written) → marked → DOMPurify → TrustedHTML.
 *
 * Text that would cost too much or nest too deep is shown as it is, in full.
 */

import { Marked, type RendererObject, type Tokens } from "marked";
import remend from "remend";
import { type Block, readFence } from "./blocks";
import { highlight, linesOf, prepareHighlighting } from "./highlight";
import { escapeHtml } from "./html";
import { dialect, isTooCostly } from "./lexer";
import { imageHtml, linkHtml } from "./links";
import { mathExtensions, mathSource, renderMath } from "./math";
import { Memo } from "./memo";
import { type SafeHtml, sanitize } from "./sanitize";
import { withoutDanglingMarkers } from "./tail";

export interface Rendered {
  readonly html: SafeHtml;
  /** Something in it waits for a lazy part: render again when `arrivals` changes. */
  readonly isWaiting: boolean;
}

/** A longer block of prose is shown plain: marked's inline rules are not linear on hostile text. */
export const PROSE_LIMIT_CHARS = 50_000;
/** remend searches brackets by the square: 10,000 take up to 60 ms. A longer paragraph shows its open markers. */
const COMPLETION_LIMIT_CHARS = 8_000;
/** Longer code is in chunks: the engine lays out those in view, not all of its lines as one paragraph. */
const LONG_CODE_CHARS = 4_000;
/** As in markdown.css, where the height of a chunk that is not laid out follows from it. */
const CHUNK_LINES = 50;
const MEMO_LIMIT_CHARS = 4_000_000;

const REMEND = {
  linkMode: "protocol",
  katex: false,
  inlineKatex: false,
  // The rest repairs what our dialect does not do, and would differ from the finished rendering.
  htmlTags: false,
  comparisonOperators: false,
  singleTilde: false,
} as const;

/** What the renderer's callbacks need to know about the block in hand; rendering is synchronous. */
const pass = { isOpen: false, isFence: false, isWaiting: false, source: "" };

const finished = new Memo<Rendered>(MEMO_LIMIT_CHARS);

/** Render a block. `isOpen` while more text may still arrive for it. */
export function renderBlock(block: Block, isOpen: boolean): Rendered {
  if (isOpen) return renderAfresh(block, true);
  const key = `${block.raw}\0${block.definitions}`;
  const known = finished.get(key);
  if (known !== undefined) return known;
  const rendered = renderAfresh(block, false);
  if (!rendered.isWaiting) finished.set(key, rendered, rendered.html.toString().length);
  return rendered;
}

/** A fence so long that it is shown plain first, and its colours come some lines at a time. */
export function isColouredLater({ isFence, raw }: Block): boolean {
  return isFence && readFence(raw).code.length > LONG_CODE_CHARS;
}

/** What goes into one `.md-lines` of a long fence after the other. */
export type Colours = Iterator<SafeHtml, undefined>;

/** The colours of a finished fence; null if it stays plain, "waiting" until the languages are loaded. */
export function coloursOf({ raw }: Block): Colours | "waiting" | null {
  const { language, code } = readFence(raw);
  const html = highlight(code, language.toLowerCase());
  return html === null || html === "waiting" ? html : colouredLines(linesOf(html));
}

function* colouredLines(lines: readonly string[]): Generator<SafeHtml, undefined> {
  for (const some of inChunks(lines)) yield sanitize(`<span>${some.join("\n")}</span>`);
  return undefined;
}

function renderAfresh(block: Block, isOpen: boolean): Rendered {
  Object.assign(pass, { isOpen, isFence: block.isFence, isWaiting: false, source: block.raw });
  const html = sanitize(block.isFence ? fenceHtml(block.raw) : proseHtml(block));
  return { html, isWaiting: pass.isWaiting };
}

function fenceHtml(raw: string): string {
  const { language, code } = readFence(raw);
  return codeHtml(code, language);
}

function proseHtml(block: Block): string {
  if (block.raw.length > PROSE_LIMIT_CHARS || isTooCostly(block.raw)) return plainHtml(block.raw);
  const text = pass.isOpen ? completed(block.raw) : block.raw;
  const source = block.definitions === "" ? text : `${text}\n\n${block.definitions}\n`;
  try {
    return marked.parse(source, { async: false });
  } catch (error) {
    // The stack ran out in nested emphasis or brackets; the text itself is still worth showing.
    if (error instanceof RangeError) return plainHtml(block.raw);
    throw error;
  }
}

/** Emphasis, code and links end with their paragraph, so only the last one can be half-written. */
function completed(text: string): string {
  const shown = withoutDanglingMarkers(text);
  const at = /```|~~~/.test(shown) ? 0 : shown.lastIndexOf("\n\n") + 1;
  if (shown.length - at > COMPLETION_LIMIT_CHARS) return shown;
  return shown.slice(0, at) + remend(shown.slice(at), REMEND);
}

function plainHtml(text: string): string {
  return `<p class="md-plain">${escapeHtml(text)}</p>`;
}

function codeHtml(code: string, language: string): string {
  const name = language.toLowerCase();
  const label = name === "" ? "code" : `${escapeHtml(name)} code`;
  return (
    `<figure class="md-code"><figcaption><span class="md-language">${escapeHtml(name)}</span>` +
    `<button type="button" class="md-copy" aria-label="Copy ${label}">Copy</button></figcaption>` +
    `<pre tabindex="0" role="group" aria-label="${label}"><code>${colouredHtml(code, name)}</code></pre></figure>`
  );
}

/** An open block is rendered over and over: its code is highlighted once, when it is sealed; a long fence's after that. */
function colouredHtml(code: string, language: string): string {
  const isLong = code.length > LONG_CODE_CHARS;
  const mustBePlain = pass.isOpen || (isLong && pass.isFence);
  if (mustBePlain && language !== "") prepareHighlighting();
  const html = mustBePlain ? null : highlight(code, language);
  if (html === "waiting") pass.isWaiting = true;
  const shown = html === null || html === "waiting" ? escapeHtml(code) : html;
  if (!isLong) return shown;
  const chunks = inChunks(linesOf(shown)).map((lines) => `<span class="md-lines">${lines.join("\n")}</span>`);
  return chunks.join("");
}

function inChunks(lines: readonly string[]): string[][] {
  const count = Math.ceil(lines.length / CHUNK_LINES);
  return Array.from({ length: count }, (_, at) => lines.slice(at * CHUNK_LINES, (at + 1) * CHUNK_LINES));
}

function mathHtml(token: Tokens.Generic): string {
  const isBlock = token.type === "mathBlock";
  const mathml = token.tex === null ? null : renderMath(token.tex, token.isDisplay);
  if (mathml === "waiting") pass.isWaiting = true;
  const content = mathml === null || mathml === "waiting" ? null : mathml;
  if (content === null) return isBlock ? `<p>${mathSource(token.raw)}</p>\n` : mathSource(token.raw);
  if (isBlock)
    return `<div class="md-math" tabindex="0" role="group" aria-label="formula">${content}</div>\n`;
  return token.isDisplay ? `<span class="md-math">${content}</span>` : content;
}

const INLINE_TAG = /^<(sub|sup|kbd)>([^<>\n]{1,200})<\/\1>/i;
const LINE_BREAK_TAG = /^<br[ \t]*\/?>/i;

/** The handful of tags without attributes that models write where markdown has no word for it. */
const bareTags = {
  name: "bareTag",
  level: "inline" as const,
  tokenizer(this: { lexer: { inlineTokens(src: string): Tokens.Generic[] } }, src: string) {
    const lineBreak = LINE_BREAK_TAG.exec(src);
    if (lineBreak) return { type: "br", raw: lineBreak[0] };
    const tag = INLINE_TAG.exec(src);
    if (!tag) return undefined;
    const [raw, name = "", content = ""] = tag;
    return { type: "bareTag", raw, name: name.toLowerCase(), tokens: this.lexer.inlineTokens(content) };
  },
  renderer(this: { parser: { parseInline(tokens: Tokens.Generic[]): string } }, token: Tokens.Generic) {
    return `<${token.name}>${this.parser.parseInline(token.tokens ?? [])}</${token.name}>`;
  },
};

const renderer: RendererObject = {
  code: ({ text, lang }) => codeHtml(text.replace(/\n$/, ""), /^\S*/.exec(lang ?? "")?.[0] ?? ""),
  link({ href, title, text, raw, tokens }) {
    // A bare address at the end of a growing text may be half of one.
    const isGrowing = pass.isOpen && raw === text && pass.source.endsWith(raw);
    return linkHtml(isGrowing ? "" : href, title, this.parser.parseInline(tokens));
  },
  image: ({ href, title, text }) => imageHtml(href, title, text),
  checkbox: ({ checked }) =>
    `<span class="md-check${checked ? " md-checked" : ""}" role="img" aria-label="${checked ? "Done" : "Not done"}"></span> `,
  listitem(item) {
    return `<li${item.task ? ' class="md-task"' : ""}>${this.parser.parse(item.tokens)}</li>\n`;
  },
  table(token) {
    const cell = ({ tokens, align, header }: Tokens.TableCell) => {
      const name = header ? "th" : "td";
      const scope = header ? ' scope="col"' : "";
      const side = align === null || align === "left" ? "" : ` class="md-${align}"`;
      return `<${name}${scope}${side}>${this.parser.parseInline(tokens)}</${name}>`;
    };
    const row = (cells: Tokens.TableCell[]) => `<tr>${cells.map(cell).join("")}</tr>\n`;
    return (
      `<div class="md-table" tabindex="0" role="group" aria-label="table"><table><thead>${row(token.header)}</thead>` +
      `<tbody>${token.rows.map(row).join("")}</tbody></table></div>\n`
    );
  },
};

const marked = new Marked(dialect, {
  renderer,
  extensions: [bareTags, ...mathExtensions(() => pass.isOpen, mathHtml)],
});
