import { useId } from "preact/hooks";

interface Props {
  label: string;
  unit?: string;
  value: string;
  isWrong: boolean;
  onInput(value: string): void;
  /** The user is done with the field. */
  onCommit?(): void;
}

/** One amount that may not be passed. */
export function LimitInput({ label, unit, value, isWrong, onInput, onCommit }: Props) {
  const id = useId();
  return (
    <div class="limit">
      <label for={id}>{label}</label>
      <div class="limit-field" data-unit={unit}>
        {unit && <span aria-hidden="true">{unit}</span>}
        <input
          id={id}
          class="field"
          inputMode="decimal"
          autocomplete="off"
          placeholder="no limit"
          aria-invalid={isWrong}
          value={value}
          onInput={(event) => onInput(event.currentTarget.value)}
          onChange={() => onCommit?.()}
        />
      </div>
    </div>
  );
}
