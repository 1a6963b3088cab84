import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import type { Limit, LimitChange } from "../api.gen";
import type { App } from "../app/app";
import { formatDollars } from "../settings/amounts";
import { formatMoment, formatTokens } from "../ui/format";

/** What limits were, and since when. Not there before one was set. */
export function LimitHistory({ app }: { app: App }) {
  const changes = useSignal<LimitChange[]>([]);
  useEffect(() => {
    void app.toasts.attempt(async () => {
      changes.value = await app.api.usage.limit_changes();
    });
  }, []);
  if (changes.value.length === 0) return null;
  return (
    <section class="card" aria-labelledby="limit-history">
      <div class="heading-row">
        <h2 id="limit-history">Limits so far</h2>
        <button type="button" class="button" onClick={() => app.openSettings("limits")}>
          Change limits
        </button>
      </div>
      <ul class="list">
        {changes.value.map((change, index) => (
          <li key={index} class="list-row list-row-tall">
            <div class="list-text wraps">
              <p>
                {change.agent ?? "All agents together"}: {limitsOf(change)}
              </p>
              <p class="muted">{formatMoment(change.at_ms)}</p>
            </div>
          </li>
        ))}
      </ul>
    </section>
  );
}

function limitsOf({ limits, agent_limits }: LimitChange): string {
  const all = agent_limits ?? limits;
  if (!all) return "";
  const parts = [
    agent_limits && amountsOf(agent_limits.run, "a run"),
    amountsOf(all.day, "a day"),
    amountsOf(all.month, "a month"),
  ].filter(Boolean);
  return parts.length === 0 ? "no limit" : parts.join(", ");
}

interface Amounts extends Limit {
  seconds?: number | null;
  tool_calls?: number | null;
}

function amountsOf({ cost_nano_usd, tokens, seconds, tool_calls }: Amounts, period: string): string {
  const amounts = [
    cost_nano_usd !== null && formatDollars(cost_nano_usd),
    tokens !== null && formatTokens(tokens),
    seconds != null && `${seconds} s`,
    tool_calls != null && `${tool_calls} tool calls`,
  ].filter(Boolean);
  return amounts.length === 0 ? "" : `${amounts.join(" and ")} ${period}`;
}
