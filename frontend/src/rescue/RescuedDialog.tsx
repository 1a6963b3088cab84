import type { Rescued } from "../api.gen";
import type { App } from "../app/app";
import { Dialog } from "../ui/Dialog";
import { FindingsTable } from "./FindingsTable";

/** What a rescue has done; shown until the user has closed it. */
export function RescuedDialog({ app, rescued }: { app: App; rescued: Rescued }) {
  const close = () => {
    if (!app.state.value?.rescued) return; // the dialog says once more that it was closed
    app.state.value = { ...app.state.value, rescued: null };
    void app.toasts.attempt(() => app.api.rescue.seen());
  };
  return (
    <Dialog title="Your data was rescued" onClose={close}>
      <div class="dialog-body" data-testid="rescued">
        <FindingsTable findings={rescued.findings} />
        {rescued.kept_files > 0 && (
          <p class="muted">
            Attached files that no message that is left refers to are kept, too: {rescued.kept_files}.
          </p>
        )}
        <p class="muted">The damaged database is kept in this folder. Delete it when you miss nothing.</p>
        <p class="path">
          <code>{rescued.kept}</code>
        </p>
        <div class="actions">
          <button type="button" class="button primary" onClick={close}>
            Go on
          </button>
        </div>
      </div>
    </Dialog>
  );
}
