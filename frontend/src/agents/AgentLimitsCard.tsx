import { readCount, readDollars } from "../settings/amounts";
import { LimitInput } from "../settings/LimitInput";
import type { PartProps } from "./AgentForm";
import type { AgentDraft } from "./draft";

/** What it may use. Nothing in a field is no limit. */
export function AgentLimitsCard({ draft, problems, onChange }: PartProps) {
  const { limits } = draft;
  const isWrong = (read: unknown) => problems.limits !== undefined && read === undefined;
  const set = <Part extends keyof AgentDraft["limits"]>(
    part: Part,
    changes: Partial<AgentDraft["limits"][Part]>,
  ) => onChange({ limits: { ...limits, [part]: { ...limits[part], ...changes } } });
  return (
    <section class="card" aria-label="What it may use">
      <h2>What it may use</h2>
      <p class="muted">
        Before each call of a model Deskside works out the most that it could use. Where that would pass a
        limit the run stops and asks you. An empty field is no limit.
      </p>
      {(["run", "day", "month"] as const).map((part) => (
        <fieldset key={part} class="limits">
          <legend>{{ run: "Each run", day: "A day", month: "A month" }[part]}</legend>
          <LimitInput
            label="Money"
            unit="$"
            value={limits[part].cost}
            isWrong={isWrong(readDollars(limits[part].cost))}
            onInput={(cost) => set(part, { cost })}
          />
          <LimitInput
            label="Tokens"
            value={limits[part].tokens}
            isWrong={isWrong(readCount(limits[part].tokens))}
            onInput={(tokens) => set(part, { tokens })}
          />
          {part === "run" && (
            <>
              <LimitInput
                label="Seconds"
                value={limits.run.seconds}
                isWrong={isWrong(readCount(limits.run.seconds))}
                onInput={(seconds) => set("run", { seconds })}
              />
              <LimitInput
                label="Tool calls"
                value={limits.run.toolCalls}
                isWrong={isWrong(readCount(limits.run.toolCalls))}
                onInput={(toolCalls) => set("run", { toolCalls })}
              />
            </>
          )}
        </fieldset>
      ))}
      <p class="field-problem" role="status">
        {problems.limits}
      </p>
    </section>
  );
}
