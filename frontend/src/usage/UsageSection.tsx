import { useSignal } from "@preact/signals";
import { ChevronLeft, ChevronRight, Download } from "lucide-preact";
import { useEffect } from "preact/hooks";
import type { Month, Part, Parts, Sum } from "../api.gen";
import type { App } from "../app/app";
import { formatCount, formatDay, formatTokens } from "../ui/format";
import { IconButton } from "../ui/IconButton";
import { Problem } from "../ui/Problem";
import { useAction } from "../ui/useAction";
import {
  formatCalls,
  formatDate,
  formatMonth,
  formatSum,
  missingIn,
  monthAfter,
  monthOf,
  originOf,
} from "./costs";
import { DayChart } from "./DayChart";
import { LimitHistory } from "./LimitHistory";
import { PricesCard } from "./PricesCard";

const WAYS = { days: "Day", models: "Model", agents: "Agent", conversations: "Conversation" } as const;
type Way = keyof typeof WAYS;

export function UsageSection({ app }: { app: App }) {
  const now = monthOf(Date.now());
  const shown = useSignal(now);
  const month = useSignal<Month | null>(null);
  const loading = useAction();
  const saving = useAction();
  const load = () =>
    loading.run(async () => {
      const asked = shown.value;
      const found = await app.api.usage.month({ month: asked });
      if (asked === shown.value) month.value = found;
    });
  useEffect(() => void load(), [shown.value]);
  const save = () =>
    saving.run(async () => {
      const { path } = await app.api.usage.export({ month: shown.value });
      if (path) app.toasts.show({ level: "info", message: `Saved as ${path}.`, hint: "" });
    });
  const problem = loading.problem.value ?? saving.problem.value;
  const first = month.value?.first_ms;
  const isFirst = first == null || shown.value <= monthOf(first);
  return (
    <>
      <section class="card" aria-label={formatMonth(shown.value)}>
        <div class="heading-row">
          <div class="month-picker">
            <IconButton
              icon={ChevronLeft}
              label="The month before"
              disabled={isFirst}
              onClick={() => {
                shown.value = monthAfter(shown.value, -1);
              }}
            />
            <h2 aria-live="polite">{formatMonth(shown.value)}</h2>
            <IconButton
              icon={ChevronRight}
              label="The month after"
              disabled={shown.value >= now}
              onClick={() => {
                shown.value = monthAfter(shown.value, 1);
              }}
            />
          </div>
          <button
            type="button"
            class="button"
            disabled={saving.isBusy.value || !month.value?.total.calls}
            onClick={() => void save()}
          >
            <Download size={14} aria-hidden="true" />
            Export as CSV
          </button>
        </div>
        {problem && <Problem message={problem.message} hint={problem.hint} />}
        {month.value && <MonthView month={month.value} name={shown.value} />}
      </section>
      <PricesCard app={app} models={month.value?.models.parts ?? []} />
      <LimitHistory app={app} />
    </>
  );
}

function MonthView({ month, name }: { month: Month; name: string }) {
  const way = useSignal<Way>("days");
  const { total } = month;
  if (total.calls === 0) {
    return <p class="muted">No model was asked in this month.</p>;
  }
  const tokens = total.usage;
  const all =
    tokens.input_tokens + tokens.cache_read_tokens + tokens.cache_write_tokens + tokens.output_tokens;
  return (
    <>
      <div>
        <p class="month-total" data-testid="usage-month">
          {formatSum(total)}
        </p>
        <p class="muted">
          {formatCalls(total.calls)}, {formatTokens(all)}
          {total.billed_calls > 0 && `, ${formatCalls(total.billed_calls)} as the provider billed`}
        </p>
        {missingIn(total).map((said) => (
          <p key={said} class="missing-cost">
            {said}
          </p>
        ))}
      </div>
      <DayChart month={name} days={month.days} />
      <fieldset class="segments">
        <legend>By</legend>
        {(Object.keys(WAYS) as Way[]).map((each) => (
          <label key={each} class="segment">
            <input
              type="radio"
              name="usage-by"
              checked={way.value === each}
              onChange={() => {
                way.value = each;
              }}
            />
            <span>{WAYS[each]}</span>
          </label>
        ))}
      </fieldset>
      <PartsTable month={month} way={way.value} />
    </>
  );
}

function PartsTable({ month, way }: { month: Month; way: Way }) {
  const { parts, more, rest }: Parts =
    way === "days" ? { parts: month.days, more: 0, rest: null } : month[way];
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: the arrow keys must be able to scroll it.
    <section class="table-scroll usage-table" aria-label={`By ${WAYS[way].toLowerCase()}`} tabIndex={0}>
      <table>
        <thead>
          <tr>
            <th scope="col">{WAYS[way]}</th>
            <th scope="col">Cost</th>
            <th scope="col">Calls</th>
            <th scope="col">Input</th>
            <th scope="col">Cached</th>
            <th scope="col">Output</th>
          </tr>
        </thead>
        <tbody>
          {parts.map((part) => (
            <SumRow key={part.id} name={nameOf(part, way)} sum={part.sum} />
          ))}
          {rest && <SumRow name={`${formatCount(more)} more`} sum={rest} />}
        </tbody>
        <tfoot>
          <SumRow name="Total" sum={month.total} />
        </tfoot>
      </table>
    </section>
  );
}

function SumRow({ name, sum }: { name: string; sum: Sum }) {
  const { input_tokens, cache_read_tokens, cache_write_tokens, output_tokens } = sum.usage;
  return (
    <tr>
      <th scope="row">{name}</th>
      <td title={originOf(sum)}>{sum.unknown_calls === sum.calls ? "Unknown" : formatSum(sum)}</td>
      <td>{formatCount(sum.calls)}</td>
      <td>{formatCount(input_tokens)}</td>
      <td title={`${formatCount(cache_read_tokens)} read, ${formatCount(cache_write_tokens)} written`}>
        {formatCount(cache_read_tokens + cache_write_tokens)}
      </td>
      <td>{formatCount(output_tokens)}</td>
    </tr>
  );
}

function nameOf({ id, name, first_ms, is_gone }: Part, way: Way): string {
  if (way === "days") return formatDate(String(id));
  if (id === null) return way === "agents" ? "No agent" : "No conversation";
  return is_gone ? `Deleted conversation (${formatDay(first_ms)})` : name;
}
