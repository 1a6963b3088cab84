import { X } from "lucide-preact";
import { IconButton } from "./IconButton";
import { RequestId } from "./RequestId";
import type { Toasts } from "./toasts";

export function ToastList({ toasts }: { toasts: Toasts }) {
  return (
    <div class="toasts" role="status">
      {toasts.shown.value.map(({ id, level, message, hint, requestId, action }) => (
        <div key={id} class="toast" data-level={level}>
          <div class="toast-text">
            <p>{message}</p>
            {hint && <p class="muted">{hint}</p>}
            {requestId && <RequestId id={requestId} />}
          </div>
          {action && (
            <button
              type="button"
              class="button"
              onClick={() => {
                toasts.dismiss(id);
                action.run();
              }}
            >
              {action.label}
            </button>
          )}
          <IconButton icon={X} label="Dismiss" onClick={() => toasts.dismiss(id)} />
        </div>
      ))}
    </div>
  );
}
