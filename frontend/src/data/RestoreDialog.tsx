import { useSignal } from "@preact/signals";
import { useEffect, useId, useRef } from "preact/hooks";
import type { BackupRow, Comparison, Difference, Preview } from "../api.gen";
import type { App } from "../app/app";
import { Dialog } from "../ui/Dialog";
import { formatCount, formatMoment } from "../ui/format";
import { Problem } from "../ui/Problem";
import { useAction } from "../ui/useAction";
import { JobProgress } from "./JobProgress";

interface Props {
  app: App;
  /** Null: the user chooses a file. */
  backup: BackupRow | null;
  onClose(): void;
}

/** Looks at a backup, asks for its passphrase, and shows what restoring it would change. */
export function RestoreDialog({ app, backup, onClose }: Props) {
  const { api } = app;
  const action = useAction();
  const preview = useSignal<Preview | null>(null);
  const isClosed = useRef(false);
  const look = (passphrase: string | null) =>
    action.run(async () => {
      const again = backup === null && passphrase !== null;
      const found = await api.backups.preview({ name: backup?.name ?? null, again, passphrase });
      preview.value = found.preview;
      if (!found.preview) close();
    });
  useEffect(() => void look(null), []);
  const problem = action.problem.value;
  const wantsPassphrase = problem?.code === "passphrase_wanted" || problem?.code === "wrong_passphrase";
  const close = () => {
    // The dialog says that it closed also when it is taken off the page.
    if (isClosed.current) return;
    isClosed.current = true;
    // A preview that goes on is for nobody; a finished one takes space.
    if (action.isBusy.value) void app.toasts.attempt(() => api.backups.stop());
    else if (preview.value) void app.toasts.attempt(() => api.backups.cancel_restore());
    onClose();
  };
  const restore = async () => {
    await action.run(async () => {
      const { confirmed } = await api.backups.restore();
      if (confirmed) {
        isClosed.current = true;
        onClose();
      }
    });
  };
  return (
    <Dialog title="Restore a backup" onClose={close}>
      <div class="restore stack" data-testid="restore-dialog">
        {preview.value === null && !problem && <p class="muted">The backup is read and checked…</p>}
        <JobProgress app={app} />
        {wantsPassphrase ? (
          <PassphraseForm
            isBusy={action.isBusy.value}
            isWrong={problem.code === "wrong_passphrase"}
            onOpen={(passphrase) => void look(passphrase)}
          />
        ) : (
          problem &&
          problem.code !== "cancelled" && (
            <Problem message={problem.message} hint={problem.hint} requestId={problem.requestId} />
          )
        )}
        {preview.value && (
          <>
            <Changes preview={preview.value} />
            <div class="actions">
              <button
                type="button"
                class="button primary"
                disabled={action.isBusy.value}
                onClick={() => void restore()}
              >
                Restore…
              </button>
              <button type="button" class="button" disabled={action.isBusy.value} onClick={close}>
                Cancel
              </button>
            </div>
          </>
        )}
      </div>
    </Dialog>
  );
}

function PassphraseForm({
  isBusy,
  isWrong,
  onOpen,
}: {
  isBusy: boolean;
  isWrong: boolean;
  onOpen(passphrase: string): void;
}) {
  const passphrase = useSignal("");
  const id = useId();
  return (
    <form
      onSubmit={(event) => {
        event.preventDefault();
        onOpen(passphrase.value);
      }}
    >
      <label for={id}>Passphrase of the backup</label>
      <div class="field-row">
        <input
          id={id}
          class="field"
          type="password"
          autocomplete="off"
          value={passphrase.value}
          aria-invalid={isWrong}
          onInput={(event) => {
            passphrase.value = event.currentTarget.value;
          }}
        />
        <button type="submit" class="button primary" disabled={passphrase.value === "" || isBusy}>
          Open
        </button>
      </div>
      {isWrong && (
        <p class="field-problem" role="alert">
          This passphrase does not open the backup. Type it again.
        </p>
      )}
    </form>
  );
}

function Changes({ preview }: { preview: Preview }) {
  const { comparison } = preview;
  const made = preview.made_ms === null ? "The backup" : `The backup of ${formatMoment(preview.made_ms)}`;
  return (
    <>
      <p>
        {made} has {count(comparison.backup.conversations, "conversation")} with{" "}
        {count(comparison.backup.messages, "message")}
        {comparison.here &&
          `; here there are ${formatCount(comparison.here.conversations)} with ${formatCount(comparison.here.messages)}`}
        .
      </p>
      {preview.schema < preview.newest_schema && (
        <p class="muted">It was made by an older Deskside and has been brought up to date.</p>
      )}
      {preview.missing_files > 0 && (
        <p>{count(preview.missing_files, "attached file")} of it could not be found.</p>
      )}
      {comparison.allows.length > 0 && (
        <div>
          <p>With it the assistant or its servers may, as they may not now:</p>
          <ul class="titles">
            {comparison.allows.map((line) => (
              <li key={line}>{line}</li>
            ))}
          </ul>
        </div>
      )}
      {comparison.here ? (
        <Differences comparison={comparison} />
      ) : (
        <p>What is here now cannot be read. Its files are kept as they are.</p>
      )}
      <p class="muted">What is here now is backed up first, so you can come back to it.</p>
    </>
  );
}

function Differences({ comparison }: { comparison: Comparison }) {
  const { only_here, only_in_backup, changed } = comparison;
  if (only_here.count + only_in_backup.count + changed.count === 0) {
    return <p>Its conversations are the same as those here.</p>;
  }
  return (
    <>
      <Titles label="Will be gone, only here now" difference={only_here} />
      <Titles label="Will come back" difference={only_in_backup} />
      <Titles label="Will be as they were then" difference={changed} />
    </>
  );
}

function Titles({ label, difference }: { label: string; difference: Difference }) {
  if (difference.count === 0) return null;
  const more = difference.count - difference.titles.length;
  return (
    <details class="advanced" open={difference.count <= 5}>
      <summary>
        {label}: {count(difference.count, "conversation")}
      </summary>
      <ul class="titles">
        {difference.titles.map((title, index) => (
          <li key={index}>{title}</li>
        ))}
        {more > 0 && <li class="muted">and {formatCount(more)} more</li>}
      </ul>
    </details>
  );
}

const count = (many: number, what: string) => `${formatCount(many)} ${what}${many === 1 ? "" : "s"}`;
