import { useSignal } from "@preact/signals";
import { useEffect, useId } from "preact/hooks";
import type { PartProps } from "./AgentForm";
import { AgentIcon } from "./AgentIcon";
import { toggled } from "./draft";
import { loadToolChoices, type ToolChoice, withNamed } from "./toolChoices";

/** What it can do: its tools, and the agents that it may ask. */
export function AbilitiesCard({ app, draft, onChange, own }: PartProps & { own: string }) {
  const id = useId();
  const found = useSignal<ToolChoice[]>([]);
  useEffect(() => {
    void app.toasts.attempt(async () => {
      found.value = await loadToolChoices(app.api);
    });
  }, []);
  const { tools, subagents } = draft;
  const choices = withNamed(found.value, tools ?? []);
  const others = app.agents.rows.value.filter(({ name }) => name !== own);
  const missing = subagents.filter((name) => !others.some((other) => other.name === name));

  return (
    <section class="card" aria-label="What it can do">
      <fieldset class="segments">
        <legend>Tools</legend>
        <label class="segment">
          <input
            type="radio"
            name={`${id}-tools`}
            checked={tools === null}
            onChange={() => onChange({ tools: null })}
          />
          <span>All that are on</span>
        </label>
        <label class="segment">
          <input
            type="radio"
            name={`${id}-tools`}
            checked={tools !== null}
            onChange={() => onChange({ tools: tools ?? [] })}
          />
          <span>Only chosen ones</span>
        </label>
      </fieldset>
      {tools !== null && (
        <fieldset class="checks">
          <legend class="visually-hidden">Chosen tools</legend>
          {choices.length === 0 && <p class="muted">None: it can only talk.</p>}
          {choices.map(({ name, description }) => (
            <label key={name} class="check">
              <input
                type="checkbox"
                checked={tools.includes(name)}
                onChange={() => onChange({ tools: toggled(tools, name) })}
              />
              <span class="check-text">
                <code>{name}</code>
                <span class="muted">{firstSentence(description)}</span>
              </span>
            </label>
          ))}
        </fieldset>
      )}
      <fieldset class="checks">
        <legend>Agents it may ask</legend>
        {others.length + missing.length === 0 && (
          <p class="muted">There is no other agent yet that it could give work to.</p>
        )}
        {others.map(({ name, label, icon, is_active }) => (
          <label key={name} class="check">
            <input
              type="checkbox"
              checked={subagents.includes(name)}
              onChange={() => onChange({ subagents: toggled(subagents, name) })}
            />
            <AgentIcon icon={icon} />
            <span class="check-text">
              <span>{label}</span>
              <span class="muted">{is_active ? name : `${name} · switched off`}</span>
            </span>
          </label>
        ))}
        {missing.map((name) => (
          <label key={name} class="check">
            <input
              type="checkbox"
              checked
              onChange={() => onChange({ subagents: toggled(subagents, name) })}
            />
            <span class="check-text">
              <code>{name}</code>
              <span class="muted">Not here at the moment.</span>
            </span>
          </label>
        ))}
      </fieldset>
    </section>
  );
}

/** Tools are described for models, at length. */
function firstSentence(description: string): string {
  const [first = ""] = description.split(/(?<=\.)\s/, 1);
  return first;
}
