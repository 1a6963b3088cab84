import { FolderInput, Trash2 } from "lucide-preact";
import type { App } from "../app/app";
import { Problem } from "../ui/Problem";
import { useAction } from "../ui/useAction";
import { JobProgress } from "./JobProgress";

/** Where everything is kept, and moving it. */
export function FolderCard({ app }: { app: App }) {
  const action = useAction();
  const list = app.backups.list.value;
  const isMoving = app.backups.job.value?.work === "move";
  const isBusy = action.isBusy.value || app.backups.job.value !== null;
  const problem = action.problem.value;
  return (
    <section class="card" aria-label="Data folder">
      <h2>Data folder</h2>
      <p class="muted">
        Conversations and settings are on this machine only, in one folder. Keys are kept in the system
        keychain, or encrypted with your passphrase; never in the clear.
      </p>
      <p class="path">
        <code>{app.state.value?.data_folder}</code>
      </p>
      {isMoving && <JobProgress app={app} />}
      {list?.moved_to && (
        <div class="notice" role="status" data-testid="moved">
          <p>
            Your data are in <span class="path">{list.moved_to}</span> now. Nothing more is saved until
            Deskside is started again.
          </p>
          <button
            type="button"
            class="button primary"
            onClick={() => void action.run(() => app.api.backups.restart())}
          >
            Restart Deskside
          </button>
        </div>
      )}
      {list?.moved_from && (
        <div class="notice">
          <p>
            The copy from before the move is still in <span class="path">{list.moved_from}</span>.
          </p>
          <button
            type="button"
            class="button"
            disabled={isBusy}
            onClick={() => void action.run(() => app.api.backups.delete_old_data())}
          >
            <Trash2 size={14} aria-hidden="true" />
            Delete the old copy…
          </button>
        </div>
      )}
      {problem && problem.code !== "cancelled" && (
        <Problem message={problem.message} hint={problem.hint} requestId={problem.requestId} />
      )}
      {list?.can_move && !list.moved_to && (
        <button
          type="button"
          class="button"
          disabled={isBusy}
          onClick={() => void action.run(() => app.api.backups.move())}
        >
          <FolderInput size={14} aria-hidden="true" />
          Move to another folder…
        </button>
      )}
      {list && !list.can_move && (
        <p class="muted">
          It was chosen when Deskside was started (--data-dir or DESKSIDE_DATA_DIR), so it is not moved from
          here.
        </p>
      )}
    </section>
  );
}
