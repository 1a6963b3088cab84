/**
 * The markdown that Deskside reads: GitHub's dialect, without raw HTML, through marked.
 *
 * Everything that lexes (the splitter's question where a list ends, the renderer) uses this one dialect.
 */

import { Lexer, Marked, type MarkedExtension } from "marked";

/** Containers one line may open. marked lexes a quote with lazy lines again for each level: 12 take 50 ms, 16 twice that. */
const DEPTH_LIMIT = 12;
/** Columns before a list marker. Nested lists indent by at least two columns a level, and marked recurses. */
const INDENT_LIMIT = 100;
/** Emphasis markers in one paragraph. Unclosed ones nest, and marked scans the rest of the text at each. */
const EMPHASIS_LIMIT = 600;
/** Lines of one block. marked's lists take time by the square of their items. */
const LINE_LIMIT = 4_000;
/** Characters without a break. marked looks for mail addresses and hard breaks from each of them to the last. */
const RUN_LIMIT = 4_000;

const MARKER = /[ \t]{0,8}(?:>|(?:[*+-]|\d{1,9}[.)])(?=[ \t]))/y;
const RULE = /^[ \t]*(?:[-*_][ \t]*)+$/;
/** Blank lines, list items and table rows: emphasis does not reach across their start. */
const STARTS_AFRESH = /^[ \t]*(?:$|\||(?:[*+-]|\d{1,9}[.)])[ \t])/;
const EMPHASIS = /\*+|_+|~~/g;
const MARKER_AFTER_INDENT = /^[ \t]*(?:>|(?:[*+-]|\d{1,9}[.)])[ \t])/;

/** HTML in markdown is text: neither tokenizer ever matches, so "<" falls through to ordinary text. */
export const dialect: MarkedExtension = {
  gfm: true,
  // Models end a line where they mean a new line (addresses, verse, signatures).
  breaks: true,
  tokenizer: {
    html: () => undefined,
    tag: () => undefined,
    // "20~25 and 30~40" is not struck through: two tildes are.
    del: (src: string) => (src.startsWith("~~") ? false : undefined),
  },
};

const structure = new Marked(dialect);

/** Does a top-level block of `before + line` start exactly where `line` does? */
export function blockStartsAt(before: string, line: string): boolean {
  const head = withNewlines(before);
  const lexer = new Lexer({ ...structure.defaults });
  let offset = 0;
  for (const token of lexer.blockTokens(head + withNewlines(line), [])) {
    if (offset >= head.length) break;
    offset += token.raw.length;
  }
  return offset === head.length;
}

/** Would this line alone nest deeper than marked can be trusted with? Looks at a bounded number of markers. */
export function isTooDeep(line: string): boolean {
  if (RULE.test(line)) return false;
  let depth = 0;
  for (MARKER.lastIndex = 0; depth <= DEPTH_LIMIT && MARKER.test(line); depth += 1);
  if (depth > DEPTH_LIMIT) return true;
  const indent = line.length - line.trimStart().length;
  return indent > INDENT_LIMIT && MARKER_AFTER_INDENT.test(line);
}

/** Is there a line or a paragraph in `text` that would keep marked busy for longer than a reader would wait? */
export function isTooCostly(text: string): boolean {
  const lines = text.split("\n");
  if (lines.length > LINE_LIMIT) return true;
  let emphasis = 0;
  for (const line of lines) {
    if (isTooDeep(line) || hasLongRun(line)) return true;
    if (STARTS_AFRESH.test(line)) emphasis = 0;
    emphasis += line.match(EMPHASIS)?.length ?? 0;
    if (emphasis > EMPHASIS_LIMIT) return true;
  }
  return false;
}

function hasLongRun(line: string): boolean {
  if (line.length < RUN_LIMIT) return false;
  return (line.match(/ +|[\w.+-]+/g) ?? []).some((run) => run.length > RUN_LIMIT);
}

function withNewlines(text: string): string {
  return text.replace(/\r\n|\r/g, "\n");
}
