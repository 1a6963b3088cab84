/** A recorded run as the page shows it: which rows there are, how they lie in time, and what they are called. */
import type { Mark, NodeContent, RunStory, Span, Story } from "../api.gen";
import { formatDuration, formatTokens } from "../ui/format";

export type Filter = "all" | "models" | "tools" | "waits" | "problems";

export const FILTERS: readonly { id: Filter; label: string }[] = [
  { id: "all", label: "Everything" },
  { id: "models", label: "Models" },
  { id: "tools", label: "Tools" },
  { id: "waits", label: "Waits" },
  { id: "problems", label: "Problems" },
];

const KINDS: Record<Exclude<Filter, "all" | "problems">, readonly Span["kind"][]> = {
  models: ["model", "side_call"],
  tools: ["tool"],
  waits: ["queue", "decision", "pause", "retry", "store", "render"],
};

export const KIND_WORDS: Record<Span["kind"], string> = {
  run: "Agent",
  queue: "Wait",
  model: "Model",
  side_call: "Summary",
  tool: "Tool",
  decision: "You",
  pause: "You",
  retry: "Retry",
  store: "Save",
  render: "Window",
};

export const STATUS_WORDS: Record<Span["status"], string> = {
  ok: "done",
  failed: "failed",
  stopped: "stopped",
  denied: "denied",
  open: "its end is not recorded",
};

/** One line of the waterfall: a span, or a moment inside one. */
export interface Row {
  key: string;
  depth: number;
  span: Span;
  mark: Mark | null;
}

/** All that is found, with what it is inside of: a row without its place says little. */
export function rowsOf(story: Story, filter: Filter, search: string): Row[] {
  const depths = new Map<string, number>();
  const byId = new Map(story.spans.map((span) => [span.id, span]));
  const words = search.trim().toLowerCase();
  const kept = new Set<string>();
  for (const span of story.spans) {
    const above = span.parent_id === null ? undefined : depths.get(span.parent_id);
    depths.set(span.id, above === undefined ? 0 : above + 1);
    if (!isFound(span, filter, words)) continue;
    for (
      let each: Span | undefined = span;
      each;
      each = each.parent_id ? byId.get(each.parent_id) : undefined
    ) {
      kept.add(each.id);
    }
  }
  const rows: Row[] = [];
  const marks = filter === "all" ? story.marks.filter((mark) => mark.text.toLowerCase().includes(words)) : [];
  let next = 0;
  const flush = (until: number) => {
    for (let mark = marks[next]; mark && mark.at_ms < until; mark = marks[++next]) {
      const span = byId.get(mark.span_id);
      if (!span) continue;
      rows.push({ key: `${mark.run_id} ${mark.n}`, depth: (depths.get(span.id) ?? 0) + 1, span, mark });
    }
  };
  for (const span of story.spans) {
    flush(span.start_ms);
    if (kept.has(span.id)) rows.push({ key: span.id, depth: depths.get(span.id) ?? 0, span, mark: null });
  }
  flush(Number.POSITIVE_INFINITY);
  return rows;
}

function isFound(span: Span, filter: Filter, words: string): boolean {
  const text = `${KIND_WORDS[span.kind]} ${span.name} ${span.message} ${span.code} ${span.decided}`;
  if (words && !text.toLowerCase().includes(words)) return false;
  if (filter === "all") return true;
  if (filter === "problems") return ["failed", "denied", "stopped"].includes(span.status);
  return KINDS[filter].includes(span.kind);
}

/** Where a span lies on the time axis, in percent of the run. */
export function barOf(story: Story, span: Span): { left: number; width: number; first: number | null } {
  const whole = Math.max(1, story.end_ms - story.start_ms);
  const end = span.end_ms ?? story.end_ms;
  const share = (ms: number) => Math.min(100, Math.max(0, (100 * ms) / whole));
  const width = share(end - span.start_ms);
  const isModel = span.kind === "model" || span.kind === "side_call";
  const first = isModel && span.first_ms !== null ? share(span.first_ms - span.start_ms) : null;
  return { left: share(span.start_ms - story.start_ms), width, first };
}

export const durationOf = (story: Story, span: Span): string =>
  span.end_ms === null && story.status !== "running"
    ? "?"
    : formatDuration((span.end_ms ?? story.end_ms) - span.start_ms);

const dollars = new Intl.NumberFormat("en", {
  style: "currency",
  currency: "USD",
  maximumSignificantDigits: 3,
});

/** What is known of a span besides its time, as pairs of a label and a value. */
export function factsOf(span: Span): [string, string][] {
  const facts: [string, string][] = [["State", STATUS_WORDS[span.status]]];
  if (span.first_ms !== null) {
    const label = span.kind === "tool" ? "Began after" : "First word after";
    facts.push([label, formatDuration(span.first_ms - span.start_ms)]);
  }
  if (span.usage) {
    const { input_tokens, cache_read_tokens, cache_write_tokens, output_tokens } = span.usage;
    const read = input_tokens + cache_read_tokens + cache_write_tokens;
    const cached = cache_read_tokens ? `, ${cache_read_tokens} of them from the cache` : "";
    facts.push(["Read", `${formatTokens(read)}${cached}`], ["Wrote", formatTokens(output_tokens)]);
    const cost = span.cost_nano_usd;
    const least = span.is_partial_cost ? "at least " : "";
    facts.push(["Cost", cost === null ? "not known" : `${least}${dollars.format(cost / 1e9)}`]);
  }
  if (span.decided) facts.push(["You", span.decided]);
  if (span.message) facts.push([messageLabelOf(span), span.message]);
  if (span.code) facts.push(["Code", span.code]);
  return facts;
}

function messageLabelOf({ status, kind }: Span): string {
  if (status === "failed") return "Failure";
  return kind === "render" ? "Drawing" : "Why";
}

/** From which step a fork goes on: a model call is made again; after a tool, the call that reads its result. */
export function forkStepOf(told: RunStory, span: Span): number | null {
  if (span.run_id !== told.story.run_id || span.step === null) return null;
  if (span.kind === "model") return span.step;
  return span.kind === "tool" && span.end_ms !== null ? span.step + 1 : null;
}

export const resultIn = (content: NodeContent | null): string =>
  content?.sections.find(({ title }) => title === "Result" || title === "Failure")?.text ?? "";
