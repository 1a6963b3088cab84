/**
 * Cuts a growing markdown text into top-level blocks, so that only the last one is ever rendered twice.
 *
 * Works line by line and looks at each character once, however the text was chopped up on its way here:
 * nothing is decided on a line that has not ended. Where the end of a block follows from the line itself
 * (blank line after a paragraph, closing fence) it is cut at once; where it depends on nesting (lists) the
 * cut is proposed by the line and confirmed by marked's own block lexer.
 *
 * Invariants
 *   - The raws of all blocks, in order, join to the text byte for byte.
 *   - A sealed block's `raw` never changes.
 *   - Any way of chunking a text ends in the same blocks.
 *   - The total work is linear in the text, up to a constant number of doublings for lists.
 */

import { blockStartsAt, isTooDeep } from "./lexer";

export interface Block {
  /** The source, line endings and trailing blank lines included. */
  readonly raw: string;
  /** A top-level fence. `raw` starts with its opening line (after blank lines). */
  readonly isFence: boolean;
  /** Link reference definitions from elsewhere in the text that this block uses, as markdown; mostly "". */
  readonly definitions: string;
}

type Mode = "blank" | "prose" | "math" | "indented" | "list" | "fence";

/** No more definitions than this take part in a text; each new one looks at every block. */
const DEFINITION_LIMIT = 200;
/** A list longer than this is cut where it seems to end, without asking marked; it is shown plain anyway. */
const CONFIRM_LIMIT_CHARS = 50_000;

const LINE_END = /\r\n|\n|\r(?!$)/g;
const BLANK = /^[ \t\r\n]*$/;
const INDENTED = /^(?: {4}| {0,3}\t)/;
const BULLET = /^ {0,3}(?:[*+-]|\d{1,9}[.)])(?:[ \t\r\n]|$)/;
const FENCE = /^ {0,3}(?:(`{3,})[^`]*|(~{3,}).*)$/s;
const MATH = /^ {0,3}(\$\$|\\\[)/;
const DEFINITION =
  /^ {0,3}\[((?:\\.|[^\\[\]]){1,200})\]:[ \t]*[^\s<]\S{0,2000}(?:[ \t]+(?:"[^"]*"|'[^']*'|\([^()]*\)))?[ \t]*$/;
const REFERENCE = /\[((?:\\.|[^\\[\]]){1,200})\]/g;

export class BlockSplitter {
  readonly #sealed: Block[] = [];
  readonly #definitions = new Map<string, string>();
  /** Whole lines of the open block. */
  #lines = "";
  /** The line that has not ended yet. Only ever appended to: looking at it would copy it, at every delta. */
  #partial = "";
  /** A "\r" at the end of what came so far: "\n" may follow, and "\r\n" is one line ending. */
  #heldReturn = "";
  #mode: Mode = "blank";
  #afterBlank = false;
  #afterIndent = false;
  #fenceMark = "";
  #mathEnd = "";
  #tooDeep = false;
  /** A list's next cut is proposed only from this length on: each refusal doubles it. */
  #confirmFrom = 0;
  #areDefinitionsNew = false;

  get sealed(): readonly Block[] {
    return this.#sealed;
  }

  /** The block that may still grow; null between blocks. */
  get open(): Block | null {
    const raw = this.#lines + this.#partial + this.#heldReturn;
    if (raw === "") return null;
    const isFence = this.#mode === "fence" || (this.#mode === "blank" && FENCE.test(this.#partial));
    return { raw, isFence, definitions: isFence ? "" : this.#definitionsUsedBy(raw) };
  }

  append(text: string): void {
    const rest = this.#heldReturn + text;
    let from = 0;
    for (const end of rest.matchAll(LINE_END)) {
      const to = end.index + end[0].length;
      const line = this.#partial + rest.slice(from, to);
      this.#partial = "";
      this.#takeLine(line);
      from = to;
    }
    this.#heldReturn = rest.endsWith("\r") ? "\r" : "";
    this.#partial += rest.slice(from, rest.length - this.#heldReturn.length);
    this.#spreadDefinitions();
  }

  /** The text is complete: what is open is sealed as it stands. */
  finish(): void {
    const line = this.#partial + this.#heldReturn;
    this.#partial = "";
    this.#heldReturn = "";
    if (line !== "") this.#takeLine(line);
    this.#seal();
    this.#spreadDefinitions();
  }

  #takeLine(line: string): void {
    const isBlank = BLANK.test(line);
    switch (this.#mode) {
      case "blank":
        if (isBlank) this.#lines += line;
        else this.#startBlock(line);
        break;
      case "fence":
        this.#lines += line;
        if (closesFence(line, this.#fenceMark)) this.#seal();
        break;
      case "math":
        this.#lines += line;
        if (isBlank) this.#seal();
        else if (line.includes(this.#mathEnd)) this.#mode = "prose";
        break;
      case "indented":
        if (isBlank || INDENTED.test(line)) this.#lines += line;
        else this.#cutBefore(line);
        break;
      case "prose":
        if (isBlank) this.#endProse(line);
        else this.#continueProse(line);
        break;
      case "list":
        if (!isBlank && this.#endsList(line)) this.#cutBefore(line);
        else this.#lines += line;
        this.#noteDepth(line);
        break;
      default:
        this.#mode satisfies never;
    }
    this.#afterBlank = isBlank;
    this.#afterIndent = INDENTED.test(line);
  }

  #startBlock(line: string): void {
    const fence = FENCE.exec(withoutLineEnd(line));
    this.#lines += line;
    this.#noteDepth(line);
    if (fence) {
      this.#mode = "fence";
      this.#fenceMark = fence[1] ?? fence[2] ?? "";
    } else if (INDENTED.test(line)) this.#mode = "indented";
    else if (BULLET.test(line)) this.#mode = "list";
    else {
      this.#mode = "prose";
      this.#enterMath(line);
      this.#noteDefinition(line);
    }
  }

  /** Indented code may follow a heading or a quote without a blank line, and go on after one. */
  #endProse(blank: string): void {
    this.#lines += blank;
    if (this.#afterIndent) this.#mode = "indented";
    else this.#seal();
  }

  #continueProse(line: string): void {
    if (FENCE.test(withoutLineEnd(line))) {
      this.#cutBefore(line);
      return;
    }
    this.#lines += line;
    this.#noteDepth(line);
    // A paragraph and the list that interrupts it stay one block; from here on the list's rules hold.
    if (BULLET.test(line)) this.#mode = "list";
    else {
      this.#enterMath(line);
      this.#noteDefinition(line);
    }
  }

  /** Inside display math a line that starts with "-" or "```" is a formula, not a list or a fence. */
  #enterMath(line: string): void {
    const opening = MATH.exec(line);
    if (!opening) return;
    this.#mathEnd = opening[1] === "$$" ? "$$" : "\\]";
    if (!line.slice(opening[0].length).includes(this.#mathEnd)) this.#mode = "math";
  }

  /** A list may end before `line` only at its left margin, after a blank line or at a fence. */
  #endsList(line: string): boolean {
    if (line.startsWith(" ") || line.startsWith("\t")) return false;
    const proposed = this.#afterBlank ? !BULLET.test(line) : FENCE.test(withoutLineEnd(line));
    if (!proposed || this.#tooDeep) return false;
    if (this.#lines.length > CONFIRM_LIMIT_CHARS) return true;
    if (this.#lines.length < this.#confirmFrom) return false;
    if (blockStartsAt(this.#lines, line)) return true;
    this.#confirmFrom = this.#lines.length * 2;
    return false;
  }

  #noteDepth(line: string): void {
    this.#tooDeep ||= isTooDeep(line);
  }

  #cutBefore(line: string): void {
    this.#seal();
    this.#startBlock(line);
  }

  #seal(): void {
    const raw = this.#lines;
    const isFence = this.#mode === "fence";
    if (raw !== "")
      this.#sealed.push({ raw, isFence, definitions: isFence ? "" : this.#definitionsUsedBy(raw) });
    this.#lines = "";
    this.#mode = "blank";
    this.#tooDeep = false;
    this.#confirmFrom = 0;
  }

  #noteDefinition(line: string): void {
    const text = withoutLineEnd(line);
    const label = DEFINITION.exec(text)?.[1];
    if (label === undefined || this.#definitions.size >= DEFINITION_LIMIT) return;
    const key = labelKey(label);
    // The first definition of a label wins.
    if (this.#definitions.has(key)) return;
    this.#definitions.set(key, text);
    this.#areDefinitionsNew = true;
  }

  /** A definition may come long after its use: blocks already sealed learn of it here. */
  #spreadDefinitions(): void {
    if (!this.#areDefinitionsNew) return;
    this.#areDefinitionsNew = false;
    for (const [index, block] of this.#sealed.entries()) {
      if (block.isFence) continue;
      const definitions = this.#definitionsUsedBy(block.raw);
      if (definitions !== block.definitions) this.#sealed[index] = { ...block, definitions };
    }
  }

  #definitionsUsedBy(raw: string): string {
    if (this.#definitions.size === 0 || !raw.includes("[")) return "";
    const used = new Set<string>();
    for (const [, label] of raw.matchAll(REFERENCE)) {
      const definition = this.#definitions.get(labelKey(label ?? ""));
      // In its own block marked finds it anyway.
      if (definition !== undefined && !raw.includes(definition)) used.add(definition);
    }
    return [...used].join("\n");
  }
}

/** The blocks of a text that is complete. */
export function splitBlocks(text: string): readonly Block[] {
  const splitter = new BlockSplitter();
  splitter.append(text);
  splitter.finish();
  return splitter.sealed;
}

export interface Fence {
  /** First word of the info string; "" if there is none. */
  readonly language: string;
  readonly code: string;
}

/** Read a fence block's language and code. Linear, where marked's pattern backtracks over the whole code. */
export function readFence(raw: string): Fence {
  const lines = raw.split(/\r\n|\n|\r/);
  while (lines.length > 1 && BLANK.test(lines[0] ?? "")) lines.shift();
  const opening = lines.shift() ?? "";
  const mark = /^( {0,3})(`{3,}|~{3,})[ \t]*(\S*)/.exec(opening);
  const last = lines.findLastIndex((line) => !BLANK.test(line));
  if (last >= 0 && closesFence(lines[last] ?? "", mark?.[2] ?? "```")) lines.length = last;
  else if (lines.at(-1) === "") lines.pop();
  const indent = new RegExp(`^ {0,${mark?.[1]?.length ?? 0}}`);
  const code = mark?.[1] ? lines.map((line) => line.replace(indent, "")) : lines;
  return { language: mark?.[3] ?? "", code: code.join("\n") };
}

function closesFence(line: string, mark: string): boolean {
  const text = line.trim();
  return text.length >= mark.length && !INDENTED.test(line) && text === (mark[0] ?? "`").repeat(text.length);
}

function withoutLineEnd(line: string): string {
  return line.replace(/[\r\n]+$/, "");
}

/** Labels match without regard to case and runs of white space (CommonMark 4.7). */
function labelKey(label: string): string {
  return label.trim().replace(/\s+/g, " ").toLowerCase().toUpperCase();
}
