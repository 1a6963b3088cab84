import { useId } from "preact/hooks";
import type { AgentRow } from "../api.gen";
import { CodeField } from "../code/CodeField";
import { Row } from "../settings/Row";
import type { PartProps } from "./AgentForm";

const EFFORTS: { value: AgentRow["reasoning_effort"]; label: string }[] = [
  { value: null, label: "The model’s own" },
  { value: "minimal", label: "Hardly" },
  { value: "low", label: "A little" },
  { value: "medium", label: "Well" },
  { value: "high", label: "Hard" },
];

const SCHEMA_EXAMPLE = `{
  "type": "object",
  "properties": { "verdict": { "type": "string" } },
  "required": ["verdict"]
}`;

/** How it answers. */
export function AnswerCard({ draft, problems, onChange }: PartProps) {
  const id = useId();
  const numbers = [
    ["temperature", "Temperature", "0 is the most even, 2 the most surprising.", "The model’s own"],
    ["maxOutputTokens", "Longest answer", "In tokens, for each step.", "The model’s own"],
    ["stepLimit", "Most steps", "A run ends after so many calls of the model.", "20"],
  ] as const;
  return (
    <section class="card" aria-label="How it answers">
      <Row label="It thinks" hint="Before it answers, where the model can.">
        {({ id, hintId }) => (
          <select
            id={id}
            class="field"
            aria-describedby={hintId}
            value={draft.reasoningEffort ?? ""}
            onChange={(event) => {
              const chosen = EFFORTS.find(({ value }) => (value ?? "") === event.currentTarget.value);
              onChange({ reasoningEffort: chosen?.value ?? null });
            }}
          >
            {EFFORTS.map(({ value, label }) => (
              <option key={label} value={value ?? ""}>
                {label}
              </option>
            ))}
          </select>
        )}
      </Row>
      {numbers.map(([field, label, hint, placeholder]) => (
        <Row key={field} label={label} hint={hint}>
          {({ id, hintId }) => (
            <div class="stacked-control">
              <input
                id={id}
                class="field"
                inputMode="decimal"
                autocomplete="off"
                aria-describedby={`${hintId} ${id}-problem`}
                aria-invalid={problems[field] !== undefined}
                placeholder={placeholder}
                value={draft[field]}
                onInput={(event) => onChange({ [field]: event.currentTarget.value })}
              />
              <p id={`${id}-problem`} class="field-problem" role="status">
                {problems[field]}
              </p>
            </div>
          )}
        </Row>
      ))}
      <details class="advanced" open={draft.outputSchema !== ""}>
        <summary>Answers in a fixed form</summary>
        <div class="instructions">
          <label for={`${id}-schema`}>JSON Schema of an object that every answer must be</label>
          <p id={`${id}-schema-hint`} class="muted">
            Tab indents; press Esc, then Tab, to go on.
          </p>
          <CodeField
            id={`${id}-schema`}
            language="json"
            describedBy={`${id}-schema-hint ${id}-schema-problem`}
            isWrong={problems.outputSchema !== undefined}
            fewestLines={6}
            placeholder={SCHEMA_EXAMPLE}
            value={draft.outputSchema}
            onChange={(outputSchema) => onChange({ outputSchema })}
          />
          <p id={`${id}-schema-problem`} class="field-problem" role="status">
            {problems.outputSchema}
          </p>
        </div>
      </details>
    </section>
  );
}
