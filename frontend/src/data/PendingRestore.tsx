import type { App } from "../app/app";
import { Problem } from "../ui/Problem";
import { useAction } from "../ui/useAction";

/** A backup was chosen, and waits for the next start. */
export function PendingRestore({ app }: { app: App }) {
  const action = useAction();
  const problem = action.problem.value;
  return (
    <div class="notice" role="status" data-testid="pending-restore">
      <p>The backup takes the place of your data when Deskside starts the next time.</p>
      <div class="actions">
        <button
          type="button"
          class="button primary"
          disabled={action.isBusy.value}
          onClick={() => void action.run(() => app.api.backups.restart())}
        >
          Restart Deskside
        </button>
        <button
          type="button"
          class="button"
          disabled={action.isBusy.value}
          onClick={() => void action.run(() => app.api.backups.cancel_restore())}
        >
          Keep what is here
        </button>
      </div>
      {problem && <Problem message={problem.message} hint={problem.hint} requestId={problem.requestId} />}
    </div>
  );
}
