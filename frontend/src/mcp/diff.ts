/** Which lines of a text are new and which are gone. */

export interface Line {
  kind: "same" | "added" | "removed";
  text: string;
}

// Past this many pairs of lines the two texts are shown one after the other.
const MOST_PAIRS = 1_000_000;

export function lineDiff(before: string, after: string): Line[] {
  const old = before.split("\n");
  const now = after.split("\n");
  const all = (texts: string[], kind: Line["kind"]) => texts.map((text) => ({ kind, text }));
  if (old.length * now.length > MOST_PAIRS) return [...all(old, "removed"), ...all(now, "added")];
  const lengths = commonLengths(old, now);
  const lines: Line[] = [];
  let i = 0;
  let j = 0;
  while (i < old.length && j < now.length) {
    if (old[i] === now[j]) {
      lines.push({ kind: "same", text: old[i++] ?? "" });
      j++;
    } else if (at(lengths, i + 1, j) >= at(lengths, i, j + 1)) {
      lines.push({ kind: "removed", text: old[i++] ?? "" });
    } else {
      lines.push({ kind: "added", text: now[j++] ?? "" });
    }
  }
  return [...lines, ...all(old.slice(i), "removed"), ...all(now.slice(j), "added")];
}

/** How many lines the rest of both from (i, j) on have in common, in order. */
function commonLengths(old: string[], now: string[]): Uint16Array[] {
  const table = Array.from({ length: old.length + 1 }, () => new Uint16Array(now.length + 1));
  for (let i = old.length - 1; i >= 0; i--) {
    for (let j = now.length - 1; j >= 0; j--) {
      const row = table[i];
      if (row) {
        row[j] =
          old[i] === now[j]
            ? at(table, i + 1, j + 1) + 1
            : Math.max(at(table, i + 1, j), at(table, i, j + 1));
      }
    }
  }
  return table;
}

function at(table: Uint16Array[], i: number, j: number): number {
  return table[i]?.[j] ?? 0;
}
