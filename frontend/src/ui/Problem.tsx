import { CircleAlert } from "lucide-preact";
import type { ComponentChildren } from "preact";

interface Props {
  message: string;
  hint?: string;
  /** Buttons: what can be done about it. */
  children?: ComponentChildren;
}

/** What went wrong and what to do, in place. */
export function Problem({ message, hint, children }: Props) {
  return (
    <div class="problem" role="alert">
      <CircleAlert class="problem-icon" size={18} strokeWidth={1.75} aria-hidden="true" />
      <div class="problem-text">
        <p>{message}</p>
        {hint && <p class="muted">{hint}</p>}
        {children && <div class="actions">{children}</div>}
      </div>
    </div>
  );
}
