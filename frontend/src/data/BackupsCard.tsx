import { useSignal } from "@preact/signals";
import { FileUp, HardDriveDownload, RotateCcw, Save, ShieldCheck } from "lucide-preact";
import type { BackupRow } from "../api.gen";
import type { App } from "../app/app";
import { formatBytes, formatCount, formatMoment } from "../ui/format";
import { IconButton } from "../ui/IconButton";
import { Problem } from "../ui/Problem";
import { useAction } from "../ui/useAction";
import { KINDS, STATES } from "./backups";
import { JobProgress } from "./JobProgress";
import { PendingRestore } from "./PendingRestore";
import { RestoreDialog } from "./RestoreDialog";

const SHOWN = 6;

/** The backups there are, and making, checking and restoring one. */
export function BackupsCard({ app }: { app: App }) {
  const action = useAction();
  /** The backup whose restore is looked at; `null` is a file that the user chooses. */
  const restoring = useSignal<BackupRow | null | undefined>(undefined);
  const showsAll = useSignal(false);
  const list = app.backups.list.value;
  if (!list) return null;
  const isBusy = action.isBusy.value || app.backups.job.value !== null;
  const rows = showsAll.value ? list.backups : list.backups.slice(0, SHOWN);
  const make = (elsewhere: boolean) =>
    action.run(async () => {
      const made = await app.api.backups.make({ elsewhere });
      if (made.folder === null) return;
      const hint = made.missing_files ? `Attached files that were not found: ${made.missing_files}.` : "";
      app.toasts.show({ level: "info", message: `A backup was made in ${made.folder}.`, hint });
    });
  const check = (row: BackupRow) =>
    action.run(async () => {
      await app.api.backups.check({ name: row.name });
      app.toasts.show({ level: "info", message: "The backup is whole.", hint: "" });
    });
  return (
    <section class="card" aria-label="Backups">
      <h2>Backups</h2>
      <p class="muted">
        Made each day, before each update, and when you ask. The last 7 days, 4 weeks and 6 months are kept.
      </p>
      {list.pending && <PendingRestore app={app} />}
      <div class="actions">
        <button type="button" class="button primary" disabled={isBusy} onClick={() => void make(false)}>
          <Save size={14} aria-hidden="true" />
          Back up now
        </button>
        <button type="button" class="button" disabled={isBusy} onClick={() => void make(true)}>
          <HardDriveDownload size={14} aria-hidden="true" />
          Back up to another folder…
        </button>
        <button
          type="button"
          class="button"
          disabled={isBusy}
          onClick={() => {
            restoring.value = null;
          }}
        >
          <FileUp size={14} aria-hidden="true" />
          Restore a file…
        </button>
      </div>
      {restoring.value === undefined && app.backups.job.value?.work !== "move" && <JobProgress app={app} />}
      {action.problem.value && action.problem.value.code !== "cancelled" && (
        <Problem
          message={action.problem.value.message}
          hint={action.problem.value.hint}
          requestId={action.problem.value.requestId}
        />
      )}
      {list.backups.length === 0 && <p class="muted">There is no backup yet.</p>}
      <ul class="list" data-testid="backup-list">
        {rows.map((row) => (
          <li key={row.name} class="list-row list-row-tall" data-testid="backup-item">
            <div class="list-text">
              <span>{row.kind ? formatMoment(row.made_ms) : row.name}</span>
              <span class="muted">{describe(row)}</span>
            </div>
            {row.kind && (
              <>
                <IconButton
                  icon={ShieldCheck}
                  label={`Check the backup of ${formatMoment(row.made_ms)}`}
                  disabled={isBusy}
                  onClick={() => void check(row)}
                />
                <IconButton
                  icon={RotateCcw}
                  label={`Restore the backup of ${formatMoment(row.made_ms)}`}
                  disabled={isBusy || row.state !== "whole"}
                  onClick={() => {
                    restoring.value = row;
                  }}
                />
              </>
            )}
          </li>
        ))}
      </ul>
      {list.backups.length > SHOWN && (
        <button
          type="button"
          class="button quiet"
          onClick={() => {
            showsAll.value = !showsAll.value;
          }}
        >
          {showsAll.value ? "Show fewer" : `Show all ${list.backups.length}`}
        </button>
      )}
      {restoring.value !== undefined && (
        <RestoreDialog
          app={app}
          backup={restoring.value}
          onClose={() => {
            restoring.value = undefined;
          }}
        />
      )}
    </section>
  );
}

function describe(row: BackupRow): string {
  const parts = [STATES[row.state]];
  if (row.kind) {
    parts.push(KINDS[row.kind], formatBytes(row.size_bytes));
    parts.push(
      `${formatCount(row.conversations)} ${row.conversations === 1 ? "conversation" : "conversations"}`,
    );
  }
  if (row.is_encrypted) parts.push("encrypted");
  if (row.missing_files) parts.push(`${row.missing_files} files missing`);
  return parts.filter(Boolean).join(" · ");
}
