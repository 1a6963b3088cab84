import type { ComponentChildren } from "preact";
import { useId } from "preact/hooks";

interface Props {
  label: string;
  hint?: ComponentChildren;
  /** Gets the id that the label names and the id of the hint. */
  children(ids: { id: string; hintId: string | undefined }): ComponentChildren;
}

/** One line of a form: what it is, a hint, and the control. */
export function Row({ label, hint, children }: Props) {
  const id = useId();
  const hintId = hint ? `${id}-hint` : undefined;
  return (
    <div class="row">
      <div class="row-text">
        <label for={id}>{label}</label>
        {hint && (
          <p id={hintId} class="muted">
            {hint}
          </p>
        )}
      </div>
      <div class="row-control">{children({ id, hintId })}</div>
    </div>
  );
}
