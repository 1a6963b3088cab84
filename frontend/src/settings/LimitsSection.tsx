import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { readLimit } from "../agents/draft";
import type { Limit, Limits, Spent, SpentSoFar } from "../api.gen";
import type { App } from "../app/app";
import { formatCount, formatTokens } from "../ui/format";
import { countField, dollarsField, formatDollars, readCount, readDollars } from "./amounts";
import { LimitInput } from "./LimitInput";
import { Row } from "./Row";

const MOST_RUNS = 32;
// From here on a meter warns, and from there on nothing is left.
const NEARLY_ALL = 0.8;
const ALL = 0.999;

export function LimitsSection({ app }: { app: App }) {
  const spent = useSignal<SpentSoFar | null>(null);
  useEffect(() => {
    void app.toasts.attempt(async () => {
      spent.value = await app.api.agents.spent();
    });
  }, []);
  const limits = app.settings.value?.limits;
  if (!limits) return null;
  return (
    <>
      <section class="card" aria-label="Limits of all agents together">
        <p class="muted">
          For all agents together. Before each call of a model Deskside works out the most that it could use;
          where that would pass a limit, the answer pauses and asks you. An empty field is no limit. Each
          agent can have limits of its own.
        </p>
        <p class="muted">
          A limit in money needs prices. Where one is not known, as on a server of your own that you did not
          say is free, every answer pauses; a limit in tokens always holds.
        </p>
        <LimitFields app={app} limits={limits} period="day" spent={spent.value?.day} />
        <LimitFields app={app} limits={limits} period="month" spent={spent.value?.month} />
      </section>
      <section class="card">
        <RunsAtOnce app={app} />
      </section>
    </>
  );
}

interface LimitFieldsProps {
  app: App;
  limits: Limits;
  period: "day" | "month";
  spent: Spent | undefined;
}

function LimitFields({ app, limits, period, spent }: LimitFieldsProps) {
  const limit = limits[period];
  const fields = useSignal({ cost: dollarsField(limit.cost_nano_usd), tokens: countField(limit.tokens) });
  const isWrong = useSignal(false);
  const set = (changes: Partial<{ cost: string; tokens: string }>) => {
    fields.value = { ...fields.value, ...changes };
    isWrong.value = isWrong.value && readLimit(fields.value) === undefined;
  };
  const save = async () => {
    const read = readLimit(fields.value);
    isWrong.value = read === undefined;
    if (read) await app.changeSettings({ limits: { ...limits, [period]: read } });
  };
  return (
    <fieldset class="limits">
      <legend>{period === "day" ? "A day" : "A month"}</legend>
      <LimitInput
        label="Money"
        unit="$"
        value={fields.value.cost}
        isWrong={isWrong.value && readDollars(fields.value.cost) === undefined}
        onInput={(cost) => set({ cost })}
        onCommit={() => void save()}
      />
      <LimitInput
        label="Tokens"
        value={fields.value.tokens}
        isWrong={isWrong.value && readCount(fields.value.tokens) === undefined}
        onInput={(tokens) => set({ tokens })}
        onCommit={() => void save()}
      />
      <p class="field-problem" role="status">
        {isWrong.value && "Amounts are numbers, such as 5 or 0.25, or nothing for no limit."}
      </p>
      {spent && <SpentLine period={period} limit={limit} spent={spent} />}
    </fieldset>
  );
}

function SpentLine({ period, limit, spent }: { period: "day" | "month"; limit: Limit; spent: Spent }) {
  const calls = spent.unknown_calls === 1 ? "1 call" : `${formatCount(spent.unknown_calls)} calls`;
  return (
    <div class="spent">
      <p>
        {period === "day" ? "Today" : "This month"}: {formatDollars(spent.cost_nano_usd)},{" "}
        {formatTokens(spent.tokens)}
        {spent.unknown_calls > 0 && <span class="muted">, and {calls} whose cost is not known</span>}
      </p>
      {limit.cost_nano_usd !== null && (
        <meter
          aria-label={`Money used ${period === "day" ? "today" : "this month"}`}
          min={0}
          max={Math.max(limit.cost_nano_usd, 1)}
          low={limit.cost_nano_usd * NEARLY_ALL}
          high={limit.cost_nano_usd * ALL}
          optimum={0}
          value={Math.min(spent.cost_nano_usd, Math.max(limit.cost_nano_usd, 1))}
        />
      )}
    </div>
  );
}

function RunsAtOnce({ app }: { app: App }) {
  const typed = useSignal(String(app.settings.value?.max_runs ?? ""));
  const isWrong = useSignal(false);
  const save = async () => {
    const count = readCount(typed.value, 1);
    isWrong.value = count == null || count > MOST_RUNS;
    if (!isWrong.value && count != null) await app.changeSettings({ max_runs: count });
  };
  return (
    <Row label="Answers at once" hint="More wait for their turn, and show their place.">
      {({ id, hintId }) => (
        <div class="stacked-control">
          <input
            id={id}
            class="field"
            inputMode="numeric"
            aria-describedby={`${hintId} ${id}-problem`}
            aria-invalid={isWrong.value}
            value={typed.value}
            onInput={(event) => {
              typed.value = event.currentTarget.value;
            }}
            onChange={() => void save()}
          />
          <p id={`${id}-problem`} class="field-problem" role="status">
            {isWrong.value && `A whole number from 1 to ${MOST_RUNS}.`}
          </p>
        </div>
      )}
    </Row>
  );
}
