/**
 * The markdown that Deskside reads: GitHub's dialect, without raw HTML, through marked.
 *
 * Everything that lexes (the splitter's question where a list ends, the renderer) uses this one dialect.
 */

import { Lexer, Marked, type MarkedExtension } from "marked";

/** Deeper than any text people write; marked recurses once a level and lexes the rest of the line each time. */
const DEPTH_LIMIT = 100;

const MARKER = /[ \t]{0,8}(?:>|(?:[*+-]|\d{1,9}[.)])(?=[ \t]))/y;
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
  let depth = 0;
  for (MARKER.lastIndex = 0; depth <= DEPTH_LIMIT && MARKER.test(line); depth += 1);
  if (depth > DEPTH_LIMIT) return true;
  // Nested lists indent by at least two columns a level.
  const indent = line.length - line.trimStart().length;
  return indent > 2 * DEPTH_LIMIT && MARKER_AFTER_INDENT.test(line);
}

function withNewlines(text: string): string {
  return text.replace(/\r\n|\r/g, "\n");
}
