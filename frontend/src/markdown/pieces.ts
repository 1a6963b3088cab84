/**
 * A long list or table in pieces, so that it is rendered, and while it grows rendered again, a piece at a time.
 *
 * Each piece is markdown that stands alone: some items, or some rows under the table's header. What they are
 * rendered to is put together to one list or table (BlockView). Pieces are told from the source alone and only ever
 * from what is before their end: in a text that grows all but the last stay what they are.
 */

import type { Block } from "./blocks";
import { PROSE_LIMIT_CHARS } from "./render";

/** About 5 ms of rendering. */
export const PIECE_CHARS = 2_000;

const LINES = /[^\r\n]*(?:\r\n|\r|\n)|[^\r\n]+$/g;
const ITEM = /^(?:([-*+])|(\d{1,9})([.)]))[ \t]/;
const ROW = /^ {0,3}\|/;
const DELIMITERS = /^ {0,3}\|[ \t]*:?-+:?[ \t]*(?:\|[ \t]*:?-+:?[ \t]*)*\|?[ \t]*$/;
const BLANK = /^[ \t\r\n]*$/;

/** The pieces of a block, in order; the block itself where it is short or cannot be cut. */
export function piecesOf(block: Block): readonly Block[] {
  const { raw, isFence } = block;
  // Past the limit it is shown plain, in one piece.
  if (isFence || raw.length < 2 * PIECE_CHARS || raw.length > PROSE_LIMIT_CHARS) return [block];
  const lines = raw.match(LINES) ?? [];
  const pieces = tablePieces(lines) ?? listPieces(lines);
  return pieces.length < 2 ? [block] : pieces.map((piece) => ({ ...block, raw: piece }));
}

/** Null where it is not a table from its first line to its last. */
function tablePieces(lines: readonly string[]): string[] | null {
  const top = lines.findIndex((line) => !BLANK.test(line));
  const [header = "", delimiters = "", ...rest] = lines.slice(top);
  if (!ROW.test(header) || !DELIMITERS.test(delimiters.trimEnd())) return null;
  const last = rest.findLastIndex((line) => !BLANK.test(line));
  const rows = rest.slice(0, last + 1);
  if (!rows.every((line) => ROW.test(line))) return null;
  return gathered(rows, () => true).map((piece) => header + delimiters + piece);
}

/** Cut before items of the outermost list; a paragraph may stand before it. */
function listPieces(lines: readonly string[]): string[] {
  const first = lines.findIndex((line, at) => {
    const [, , number] = ITEM.exec(line) ?? [null];
    // In a paragraph only the number 1 begins a list.
    return ITEM.test(line) && (number === undefined || number === "1" || at === 0);
  });
  const mark = markOf(lines[first] ?? "");
  return mark === "" ? [] : gathered(lines, (line, at) => at > first && markOf(line) === mark);
}

/** What the items of one list have in common: another mark begins another list. */
function markOf(line: string): string {
  const [, bullet, , delimiter] = ITEM.exec(line) ?? [];
  return bullet ?? delimiter ?? "";
}

/** The lines together, cut before one that may begin a piece where the piece before is long enough. */
function gathered(lines: readonly string[], mayBegin: (line: string, at: number) => boolean): string[] {
  const pieces: string[] = [];
  let piece = "";
  for (const [at, line] of lines.entries()) {
    if (piece.length >= PIECE_CHARS && mayBegin(line, at)) {
      pieces.push(piece);
      piece = "";
    }
    piece += line;
  }
  return piece === "" ? pieces : [...pieces, piece];
}
