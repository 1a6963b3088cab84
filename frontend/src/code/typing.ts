/** What the keys of a code editor do, on plain text: the text that goes in, and what is selected then. */

export interface Edit {
  /** Replace what lies between these two. */
  from: number;
  to: number;
  text: string;
  start: number;
  end: number;
}

/** Spaces of one step, where nothing else is said. */
const STEP = 4;

/** Tab: indent the selected lines, or move on to the next step. */
export function indented(code: string, start: number, end: number, step = STEP): Edit {
  const lineStart = code.lastIndexOf("\n", start - 1) + 1;
  if (!code.slice(start, end).includes("\n")) {
    const text = " ".repeat(step - ((start - lineStart) % step));
    return { from: start, to: end, text, start: start + text.length, end: start + text.length };
  }
  const text = code.slice(lineStart, end).replace(/^(?=.)/gm, " ".repeat(step));
  const added = text.length - (end - lineStart);
  return { from: lineStart, to: end, text, start: start + step, end: end + added };
}

/** Shift and Tab: take one step off the selected lines. */
export function outdented(code: string, start: number, end: number, step = STEP): Edit {
  const from = code.lastIndexOf("\n", start - 1) + 1;
  const newline = code.indexOf("\n", end);
  const to = newline === -1 ? code.length : newline;
  const first = new RegExp(`^ {0,${step}}`).exec(code.slice(from, to))?.[0].length ?? 0;
  const text = code.slice(from, to).replace(new RegExp(`^ {1,${step}}`, "gm"), "");
  const removed = to - from - text.length;
  const newStart = Math.max(from, start - first);
  return { from, to, text, start: newStart, end: Math.max(newStart, end - removed) };
}

/** Enter: the next line is indented like this one, a step further after what opens something. */
export function continued(code: string, start: number, end: number, step = STEP): Edit {
  const line = code.slice(code.lastIndexOf("\n", start - 1) + 1, start);
  const indent = /^ */.exec(line)?.[0] ?? "";
  const text = `\n${indent}${/[:([{]\s*$/.test(line) ? " ".repeat(step) : ""}`;
  return { from: start, to: end, text, start: start + text.length, end: start + text.length };
}
