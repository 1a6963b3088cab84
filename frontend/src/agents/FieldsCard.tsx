import { useSignal } from "@preact/signals";
import { Plus, X } from "lucide-preact";
import { useId } from "preact/hooks";
import type { Field } from "../api.gen";
import type { App } from "../app/app";
import { Row } from "../settings/Row";
import { IconButton } from "../ui/IconButton";

const FIELD_NAME = /^[a-z][a-z0-9_]{0,31}$/;

/** What instructions may name between double braces: the user's name, and fields of their own. */
export function FieldsCard({ app }: { app: App }) {
  const fields = app.settings.value?.fields ?? [];
  const name = useSignal("");
  const value = useSignal("");
  const isWrong = useSignal(false);
  const id = useId();

  const change = (changed: Field[]) => app.changeSettings({ fields: changed });
  const add = async (event: Event) => {
    event.preventDefault();
    const typed = name.value.trim().replace(/^\{\{\s*|\s*\}\}$/g, "");
    isWrong.value = !FIELD_NAME.test(typed);
    if (isWrong.value) return;
    if (!(await change([...fields, { name: typed, value: value.value }]))) return;
    name.value = value.value = "";
  };

  return (
    <section class="card" aria-label="Fields in instructions">
      <h2>Fields in instructions</h2>
      <p class="muted">
        An agent’s instructions may name fields: <code>{"{{date}}"}</code>, <code>{"{{user}}"}</code>,{" "}
        <code>{"{{os}}"}</code>, and your own.
      </p>
      <Row label="Your name" hint="What agents call you.">
        {({ id, hintId }) => (
          <input
            id={id}
            class="field"
            aria-describedby={hintId}
            autocomplete="off"
            maxLength={200}
            value={app.settings.value?.user_name ?? ""}
            onChange={(event) => void app.changeSettings({ user_name: event.currentTarget.value.trim() })}
          />
        )}
      </Row>
      <ul class="list" aria-label="Your fields">
        {fields.map((field) => (
          <li key={field.name} class="list-row own-field">
            <code>{`{{${field.name}}}`}</code>
            <input
              class="field"
              aria-label={`What ${field.name} stands for`}
              maxLength={4000}
              value={field.value}
              onChange={(event) =>
                void change(
                  fields.map((each) =>
                    each === field ? { ...field, value: event.currentTarget.value } : each,
                  ),
                )
              }
            />
            <IconButton
              icon={X}
              label={`Remove the field ${field.name}`}
              onClick={() => void change(fields.filter((each) => each !== field))}
            />
          </li>
        ))}
      </ul>
      <form class="field-row own-field" onSubmit={(event) => void add(event)}>
        <input
          class="field mono"
          aria-label="Name of a new field"
          aria-invalid={isWrong.value}
          aria-describedby={`${id}-problem`}
          placeholder="team"
          autocomplete="off"
          spellcheck={false}
          maxLength={40}
          value={name.value}
          onInput={(event) => {
            name.value = event.currentTarget.value;
          }}
        />
        <input
          class="field"
          aria-label="What the new field stands for"
          placeholder="What it stands for"
          autocomplete="off"
          maxLength={4000}
          value={value.value}
          onInput={(event) => {
            value.value = event.currentTarget.value;
          }}
        />
        <button type="submit" class="button" disabled={name.value.trim() === ""}>
          <Plus size={14} aria-hidden="true" />
          Add
        </button>
      </form>
      <p id={`${id}-problem`} class="field-problem" role="status">
        {isWrong.value && "A field’s name has small letters, digits and _, and begins with a letter."}
      </p>
    </section>
  );
}
