import { CircleAlert } from "lucide-preact";
import type { ComponentChildren } from "preact";
import { RequestId } from "./RequestId";

interface Props {
  message: string;
  hint?: string;
  /** The request that failed, where there was one. */
  requestId?: string | undefined;
  /** Buttons: what can be done about it. */
  children?: ComponentChildren;
}

/** What went wrong and what to do, in place. */
export function Problem({ message, hint, requestId, children }: Props) {
  return (
    <div class="problem" role="alert">
      <CircleAlert class="problem-icon" size={18} strokeWidth={1.75} aria-hidden="true" />
      <div class="problem-text">
        <p>{message}</p>
        {hint && <p class="muted">{hint}</p>}
        {requestId && <RequestId id={requestId} />}
        {children && <div class="actions">{children}</div>}
      </div>
    </div>
  );
}
