import { FileDown, FileUp } from "lucide-preact";
import type { App } from "../app/app";
import { Problem } from "../ui/Problem";
import { useAction } from "../ui/useAction";

/** Settings → Data: conversations out of Deskside and into it. */
export function TransfersCard({ app }: { app: App }) {
  const { transfers } = app;
  const { isBusy, problem, run } = useAction();
  return (
    <section class="card" aria-label="Export and import">
      <h2>Export and import</h2>
      <p class="muted">
        Take your conversations with you, or bring in those of ChatGPT, Claude, Open WebUI and LibreChat: the
        file, or the zip as you got it. You see what would come before anything is imported.
      </p>
      {problem.value && (
        <Problem
          message={problem.value.message}
          hint={problem.value.hint}
          requestId={problem.value.requestId}
        />
      )}
      <div class="actions">
        {transfers.isUnderWay.value ? (
          <button type="button" class="button" onClick={transfers.show}>
            Show what is under way
          </button>
        ) : (
          <>
            <button
              type="button"
              class="button"
              onClick={() => {
                transfers.exporting.value = { ids: null, title: "Export all conversations" };
              }}
            >
              <FileDown size={14} aria-hidden="true" />
              Export all…
            </button>
            <button
              type="button"
              class="button"
              disabled={isBusy.value}
              onClick={() => void run(() => app.api.transfers.choose_import())}
            >
              <FileUp size={14} aria-hidden="true" />
              Import…
            </button>
          </>
        )}
      </div>
    </section>
  );
}
