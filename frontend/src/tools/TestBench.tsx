import { useSignal } from "@preact/signals";
import { Play } from "lucide-preact";
import { useId } from "preact/hooks";
import type { TryOut } from "../api.gen";
import type { App } from "../app/app";
import { formatDuration } from "../ui/format";
import { Problem } from "../ui/Problem";
import { useAction } from "../ui/useAction";
import { type ArgumentField, fieldsOf, type ReadArguments, readArguments, writtenCall } from "./arguments";
import { asObject, asText, type Draft } from "./tools";

interface Props {
  app: App;
  draft: Draft;
  functionName: string;
  /** null while what is typed is no JSON object. */
  parameters: Record<string, unknown> | null;
  onWrongLine(line: number | null): void;
  onShowLine(line: number): void;
}

interface Run {
  call: string;
  outcome: TryOut;
}

export function TestBench({ app, draft, functionName, parameters, onWrongLine, onShowLine }: Props) {
  const id = useId();
  const typed = useSignal<Record<string, string>>({});
  /** The arguments as JSON text; null while the form is used. */
  const asJson = useSignal<string | null>(null);
  const last = useSignal<Run | null>(null);
  const wrong = useSignal("");
  const { isBusy, problem, run } = useAction();
  const fields = fieldsOf(parameters ?? {});

  const given = (): ReadArguments => {
    if (asJson.value === null) return readArguments(fields, typed.value);
    const found = asObject(asJson.value);
    return found
      ? { arguments: found, problem: null }
      : { arguments: null, problem: "The arguments are not a JSON object." };
  };
  const tryOut = async () => {
    const read = given();
    wrong.value = read.problem ?? "";
    if (read.problem !== null || !parameters) return;
    const { source, capabilities } = draft;
    last.value = null;
    await run(async () => {
      const outcome = await app.api.tools.try_out({
        source,
        parameters,
        arguments: read.arguments,
        capabilities,
      });
      last.value = { call: writtenCall(functionName || draft.name, read.arguments), outcome };
      onWrongLine(outcome.line);
    });
  };
  const switchWay = () => {
    const read = given();
    asJson.value = asJson.value === null ? asText(read.arguments ?? {}) : null;
  };
  return (
    <section class="card bench" aria-labelledby={`${id}-title`}>
      <div class="found-heading">
        <h2 id={`${id}-title`}>Try it</h2>
        <button type="button" class="button quiet" onClick={switchWay}>
          {asJson.value === null ? "As JSON" : "As a form"}
        </button>
      </div>
      {asJson.value === null ? (
        fields.map((field) => (
          <Argument
            key={field.name}
            id={`${id}-${field.name}`}
            field={field}
            value={typed.value[field.name] ?? ""}
            onChange={(text) => {
              typed.value = { ...typed.value, [field.name]: text };
            }}
          />
        ))
      ) : (
        <textarea
          class="field tool-area mono"
          aria-label="Arguments as JSON"
          rows={Math.max(4, asJson.value.split("\n").length)}
          spellcheck={false}
          value={asJson.value}
          onInput={(event) => {
            asJson.value = event.currentTarget.value;
          }}
        />
      )}
      <div class="actions">
        <button
          type="button"
          class="button"
          data-testid="tool-run"
          disabled={isBusy.value || !parameters}
          onClick={() => void tryOut()}
        >
          <Play size={14} aria-hidden="true" />
          {isBusy.value ? "Running…" : "Run"}
        </button>
        <p class="field-problem" role="status">
          {wrong.value}
        </p>
      </div>
      {problem.value && (
        <Problem
          message={problem.value.message}
          hint={problem.value.hint}
          requestId={problem.value.requestId}
        />
      )}
      <div role="status" class="bench-status">
        {last.value && <Outcome run={last.value} onShowLine={onShowLine} />}
      </div>
    </section>
  );
}

interface ArgumentProps {
  id: string;
  field: ArgumentField;
  value: string;
  onChange(text: string): void;
}

function Argument({ id, field, value, onChange }: ArgumentProps) {
  const hint = [field.description, field.isRequired ? "" : "Optional."].filter(Boolean).join(" ");
  const choices = field.kind === "yes_no" ? ["true", "false"] : field.choices;
  const common = {
    id,
    class: `field ${field.kind === "text" ? "" : "mono"}`,
    "aria-describedby": `${id}-hint`,
  };
  return (
    <div class="bench-field">
      <label for={id}>
        <code>{field.name}</code>
      </label>
      {field.kind === "choice" || field.kind === "yes_no" ? (
        <select {...common} onChange={(event) => onChange(event.currentTarget.value)}>
          <option value="" selected={value === ""}>
            {field.fallback || "—"}
          </option>
          {choices.map((choice) => (
            <option key={choice} value={choice} selected={choice === value}>
              {choice}
            </option>
          ))}
        </select>
      ) : field.kind === "number" ? (
        <input
          {...common}
          inputMode="decimal"
          autocomplete="off"
          placeholder={field.fallback}
          value={value}
          onInput={(event) => onChange(event.currentTarget.value)}
        />
      ) : (
        <textarea
          {...common}
          class={`${common.class} tool-area`}
          rows={Math.min(8, Math.max(1, value.split("\n").length))}
          spellcheck={false}
          placeholder={field.fallback}
          value={value}
          onInput={(event) => onChange(event.currentTarget.value)}
        />
      )}
      <p id={`${id}-hint`} class="muted">
        {hint}
      </p>
    </div>
  );
}

interface OutcomeProps {
  run: Run;
  onShowLine(line: number): void;
}

function Outcome({ run: { call, outcome }, onShowLine }: OutcomeProps) {
  const { line } = outcome;
  return (
    <dl class="bench-outcome" data-testid="tool-outcome">
      <dt>Call</dt>
      <dd>
        <pre>{call}</pre>
      </dd>
      {outcome.ok ? (
        <>
          <dt>Result</dt>
          <dd>
            <pre data-testid="tool-result">{outcome.result}</pre>
          </dd>
        </>
      ) : (
        <>
          <dt>Error</dt>
          <dd>
            <pre class="bench-error">
              {line !== null && `Line ${line}: `}
              {outcome.error}
            </pre>
            {line !== null && (
              <button type="button" class="link" onClick={() => onShowLine(line)}>
                Show line {line}
              </button>
            )}
          </dd>
        </>
      )}
      {outcome.printed && (
        <>
          <dt>Printed</dt>
          <dd>
            <pre>{outcome.printed}</pre>
          </dd>
        </>
      )}
      <dt>Time</dt>
      <dd>{formatTaken(outcome.duration_ms)}</dd>
    </dl>
  );
}

/** Of what is quick the tenths count, too. */
function formatTaken(ms: number): string {
  if (ms >= 1_000) return formatDuration(ms);
  return `${ms.toLocaleString("en", { maximumFractionDigits: 1 })} ms`;
}
