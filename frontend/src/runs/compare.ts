/** Two runs side by side as the page shows them: which rows, which figures, and what it is called. */
import type { ComparedRuns, RunChoice, RunTotals, StepDifference, StepPair } from "../api.gen";
import { formatDollars } from "../settings/amounts";
import { formatCount, formatDuration } from "../ui/format";
import { formatSum } from "../usage/costs";

export const ASPECT_WORDS: Record<StepDifference["aspect"], string> = {
  model: "Model",
  outcome: "How it ended",
  instructions: "Instructions",
  settings: "Settings",
  tools: "Tools it was offered",
  conversation: "Conversation before",
  thinking: "Thinking",
  answer: "Answer",
  calls: "Tools it asked for",
  arguments: "Arguments",
  decision: "Your decision",
  result: "Result",
};

export const RELATION_WORDS: readonly { relation: RunChoice["relation"]; title: string }[] = [
  { relation: "version", title: "Versions of this answer" },
  { relation: "fork", title: "Forked conversations" },
  { relation: "conversation", title: "This conversation" },
  { relation: "other", title: "Newest in other conversations" },
];

/** Those that hold every word, in their groups; groups without any are left out. */
export function choicesBy(choices: readonly RunChoice[], search: string) {
  const words = search.toLowerCase().split(/\s+/).filter(Boolean);
  const found = choices.filter((each) => {
    const text = `${each.run_id} ${each.question} ${each.title} ${each.agent} ${each.model}`.toLowerCase();
    return words.every((word) => text.includes(word));
  });
  return RELATION_WORDS.map(({ relation, title }) => ({
    title,
    choices: found.filter((each) => each.relation === relation),
  })).filter(({ choices }) => choices.length > 0);
}

export interface PairRow {
  /** Its place among all pairs. */
  at: number;
  pair: StepPair;
}

/** The rows to show. A difference inside another agent's work keeps what it is inside of. */
export function rowsOf(pairs: readonly StepPair[], onlyDifferences: boolean): PairRow[] {
  const rows = pairs.map((pair, at) => ({ at, pair }));
  if (!onlyDifferences) return rows;
  const kept: PairRow[] = [];
  let inside = -1;
  for (const row of rows.reverse()) {
    const { depth, kind } = row.pair;
    const holdsOne = depth < inside;
    if (kind !== "same" || holdsOne) {
      kept.push(row);
      inside = depth;
    }
  }
  return kept.reverse();
}

/** "3 same, 1 changed, 1 only in run 7". */
export function countsOf({ left, right, pairs }: ComparedRuns): string {
  const count = (kind: StepPair["kind"]) => pairs.filter((pair) => pair.kind === kind).length;
  const parts: [number, string][] = [
    [count("same"), "same"],
    [count("changed"), "changed"],
    [count("only_left"), `only in run ${left.run_id}`],
    [count("only_right"), `only in run ${right.run_id}`],
  ];
  const said = parts.filter(([n]) => n > 0).map(([n, words]) => `${formatCount(n)} ${words}`);
  return said.length > 0 ? said.join(", ") : "Neither run has a step.";
}

export interface Figure {
  label: string;
  left: string;
  right: string;
  /** How much more or less the second one is; empty where that cannot be said. */
  delta: string;
}

/** The figures of both runs; classes of tokens that neither used are left out. */
export function figuresOf(left: RunTotals, right: RunTotals): Figure[] {
  const figure = (
    label: string,
    amountOf: (totals: RunTotals) => number | null,
    format: (value: number) => string,
  ): Figure => {
    const [before, after] = [amountOf(left), amountOf(right)];
    const shown = (value: number | null) => (value === null ? "not known" : format(value));
    return { label, left: shown(before), right: shown(after), delta: deltaOf(before, after, format) };
  };
  const tokens = (label: string, name: keyof RunTotals["usage"]) =>
    left.usage[name] + right.usage[name] === 0
      ? []
      : [figure(label, (totals) => totals.usage[name], formatCount)];
  return [
    figure("Time", (totals) => totals.took_ms, formatDuration),
    figure("First word after", (totals) => totals.first_ms, formatDuration),
    figure("Model calls", (totals) => totals.model_calls, formatCount),
    figure("Tool calls", (totals) => totals.tool_calls, formatCount),
    ...tokens("Input tokens", "input_tokens"),
    ...tokens("Read from the cache", "cache_read_tokens"),
    ...tokens("Written to the cache", "cache_write_tokens"),
    ...tokens("Output tokens", "output_tokens"),
    ...tokens("Reasoning tokens", "reasoning_tokens"),
    {
      ...figure("Cost", wholeCost, formatDollars),
      left: costOf(left),
      right: costOf(right),
    },
  ];
}

const wholeCost = ({ unknown_calls, partial_calls, cost_nano_usd }: RunTotals): number | null =>
  unknown_calls + partial_calls > 0 ? null : cost_nano_usd;

const costOf = ({ used_calls, ...totals }: RunTotals): string => formatSum({ calls: used_calls, ...totals });

function deltaOf(before: number | null, after: number | null, format: (value: number) => string): string {
  if (before === null || after === null) return "";
  if (before === after) return "same";
  const sign = after > before ? "+" : "−";
  const percent =
    before === 0 ? "" : ` (${sign}${Math.round((100 * Math.abs(after - before)) / before)}\u00a0%)`;
  return `${sign}${format(Math.abs(after - before))}${percent}`;
}
