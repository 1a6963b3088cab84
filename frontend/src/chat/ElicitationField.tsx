import { useId } from "preact/hooks";
import { type FormField, type FormValue, problemOf } from "./elicitation";
import { keepEscape } from "./escape";
import { showInvisible } from "./invisible";

interface Props {
  field: FormField;
  value: FormValue;
  isTried: boolean;
  onChange(value: FormValue): void;
}

/** One field of a server's form, with what is wrong with it once that matters. */
export function ElicitationField({ field, value, isTried, onChange }: Props) {
  const id = useId();
  const fault = isTried ? problemOf(field, value) : "";
  const label = (
    <>
      {showInvisible(field.label)}
      {!field.isRequired && field.kind !== "switch" && <span class="muted"> (optional)</span>}
    </>
  );
  const described = { "aria-describedby": `${id}-note`, "aria-invalid": fault !== "" };
  const note = (
    <p id={`${id}-note`} class={fault ? "field-problem" : "muted"}>
      {fault || showInvisible(field.description)}
    </p>
  );
  if (field.kind === "switch") {
    return (
      <div class="ask-part">
        <label class="ask-switch">
          <input
            type="checkbox"
            checked={value === true}
            {...described}
            onChange={(event) => onChange(event.currentTarget.checked)}
          />
          {label}
        </label>
        {note}
      </div>
    );
  }
  if (field.kind === "choices") {
    const chosen = Array.isArray(value) ? value : [];
    return (
      <fieldset class="ask-part" aria-describedby={`${id}-note`}>
        <legend>{label}</legend>
        {field.choices.map((choice) => (
          <label key={choice.value} class="ask-switch">
            <input
              type="checkbox"
              checked={chosen.includes(choice.value)}
              onChange={(event) => {
                const others = chosen.filter((other) => other !== choice.value);
                onChange(event.currentTarget.checked ? [...others, choice.value] : others);
              }}
            />
            {showInvisible(choice.label)}
          </label>
        ))}
        {note}
      </fieldset>
    );
  }
  return (
    <div class="ask-part">
      <label for={id}>{label}</label>
      {field.kind === "choice" ? (
        <select
          id={id}
          class="field"
          value={String(value)}
          required={field.isRequired}
          {...described}
          onChange={(event) => onChange(event.currentTarget.value)}
        >
          <option value="">Choose…</option>
          {field.choices.map((choice) => (
            <option key={choice.value} value={choice.value}>
              {showInvisible(choice.label)}
            </option>
          ))}
        </select>
      ) : (
        <input
          id={id}
          class="field"
          {...inputOf(field)}
          autocomplete="off"
          value={String(value)}
          required={field.isRequired}
          {...described}
          onInput={(event) => onChange(event.currentTarget.value)}
          onKeyDown={keepEscape}
        />
      )}
      {note}
    </div>
  );
}

/** The kinds of input that show a number or a text; TypeScript wants to know which one it is. */
function inputOf({ kind, input }: FormField): { type: "text" } {
  if (kind === "number") return { type: "text", ...{ inputMode: "decimal" } };
  if (kind === "integer") return { type: "text", ...{ inputMode: "numeric" } };
  return { type: input as "text" };
}
