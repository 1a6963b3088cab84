/** A unified diff, read for showing. */

export interface DiffGroup {
  kind: "added" | "removed" | "same" | "place";
  lines: string[];
}

export interface DiffText {
  /** Neighbouring lines of one kind together. */
  groups: DiffGroup[];
  added: number;
  removed: number;
}

export function readDiff(diff: string): DiffText {
  const groups: DiffGroup[] = [];
  const count = { added: 0, removed: 0, same: 0, place: 0 };
  let isInside = false;
  const lines = diff.replace(/\n$/, "").split("\n");
  for (const line of hasHeader(lines) ? lines.slice(2) : lines) {
    isInside ||= line.startsWith("@@");
    const kind = isInside ? kindOf(line) : "place";
    count[kind] += 1;
    const last = groups.at(-1);
    if (last?.kind === kind) last.lines.push(line);
    else groups.push({ kind, lines: [line] });
  }
  return { groups, added: count.added, removed: count.removed };
}

/** The file's name, twice: what would happen to which file is said above the diff. */
function hasHeader([first, second]: string[]): boolean {
  return first?.startsWith("--- ") === true && second?.startsWith("+++ ") === true;
}

function kindOf(line: string): DiffGroup["kind"] {
  if (line.startsWith("+")) return "added";
  if (line.startsWith("-")) return "removed";
  return line.startsWith("@@") ? "place" : "same";
}
