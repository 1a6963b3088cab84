import { useSignal } from "@preact/signals";
import { useId, useRef } from "preact/hooks";
import type { PreviewedInstructions } from "../api.gen";
import { Row } from "../settings/Row";
import type { PartProps } from "./AgentForm";
import { AgentIcon } from "./AgentIcon";

const ICONS = [
  ["", "None"],
  ["✍️", "Writing hand"],
  ["🔎", "Magnifying glass"],
  ["💻", "Computer"],
  ["📚", "Books"],
  ["🧮", "Abacus"],
  ["🗂️", "Files"],
  ["🌍", "Globe"],
  ["🎨", "Palette"],
  ["🧪", "Test tube"],
  ["🗓️", "Calendar"],
  ["⚖️", "Scales"],
  ["💡", "Light bulb"],
  ["🛠️", "Tools"],
  ["🧐", "Monocle"],
] as const;

/** Who it is, and what it is told. */
export function WhoCard({
  app,
  draft,
  problems,
  onChange,
  isNameFixed,
}: PartProps & { isNameFixed: boolean }) {
  const id = useId();
  const preview = useSignal<PreviewedInstructions | null>(null);
  const text = useRef<HTMLTextAreaElement>(null);
  const fields = ["date", "user", "os", ...(app.settings.value?.fields ?? []).map(({ name }) => name)];
  const icons = ICONS.some(([icon]) => icon === draft.icon)
    ? ICONS
    : ([...ICONS, [draft.icon, "As it was"]] as const);

  const show = () =>
    app.toasts.attempt(async () => {
      preview.value = await app.api.agents.preview_instructions({ instructions: draft.instructions });
    });
  const insert = (field: string) => {
    const area = text.current;
    if (!area) return;
    area.setRangeText(`{{${field}}}`, area.selectionStart, area.selectionEnd, "end");
    area.focus();
    onChange({ instructions: area.value });
  };

  return (
    <section class="card" aria-label="Who it is">
      <Row label="Label" hint="What you see in lists.">
        {({ id, hintId }) => (
          <input
            data-first
            id={id}
            class="field"
            aria-describedby={hintId}
            autocomplete="off"
            maxLength={100}
            placeholder="The critic"
            value={draft.label}
            onInput={(event) => onChange({ label: event.currentTarget.value })}
          />
        )}
      </Row>
      <Row
        label="Name"
        hint={isNameFixed ? "The default agent keeps its name." : "What other agents call it."}
      >
        {({ id, hintId }) => (
          <div class="stacked-control">
            <input
              id={id}
              class="field mono"
              aria-describedby={`${hintId} ${id}-problem`}
              aria-invalid={problems.name !== undefined}
              autocomplete="off"
              spellcheck={false}
              maxLength={48}
              placeholder="critic"
              readOnly={isNameFixed}
              value={draft.name}
              onInput={(event) => onChange({ name: event.currentTarget.value })}
            />
            <p id={`${id}-problem`} class="field-problem" role="status">
              {problems.name}
            </p>
          </div>
        )}
      </Row>
      <fieldset class="icon-choice">
        <legend>Icon</legend>
        {icons.map(([icon, label]) => (
          <label key={icon} title={label}>
            <input
              type="radio"
              name={`${id}-icon`}
              aria-label={label}
              checked={draft.icon === icon}
              onChange={() => onChange({ icon })}
            />
            <AgentIcon icon={icon} size={20} />
          </label>
        ))}
      </fieldset>
      <div class="instructions">
        <label for={`${id}-instructions`}>Instructions</label>
        <textarea
          ref={text}
          id={`${id}-instructions`}
          class="field area"
          rows={7}
          maxLength={200_000}
          aria-describedby={`${id}-fields`}
          placeholder="You are a careful editor. You find what is unclear and say how to mend it."
          value={draft.instructions}
          onInput={(event) => {
            preview.value = null;
            onChange({ instructions: event.currentTarget.value });
          }}
        />
        <div id={`${id}-fields`} class="instruction-fields">
          <span class="muted">Put in:</span>
          {fields.map((field) => (
            <button key={field} type="button" class="chip" onClick={() => insert(field)}>
              {`{{${field}}}`}
            </button>
          ))}
          <button type="button" class="link" onClick={() => void show()}>
            Show what the model gets
          </button>
        </div>
        {preview.value && (
          <div class="instructions-preview" role="status">
            <pre>{preview.value.text || "Nothing: the model gets no instructions."}</pre>
            {preview.value.unknown.length > 0 && (
              <p class="field-problem">
                {preview.value.unknown.map((name) => `{{${name}}}`).join(", ")}{" "}
                {preview.value.unknown.length === 1 ? "stands" : "stand"} for nothing and{" "}
                {preview.value.unknown.length === 1 ? "stays" : "stay"} as written. Add{" "}
                {preview.value.unknown.length === 1 ? "it" : "them"} below the list of agents, or correct the
                name.
              </p>
            )}
          </div>
        )}
      </div>
    </section>
  );
}
