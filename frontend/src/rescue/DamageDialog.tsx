import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import type { BackupRow, Findings } from "../api.gen";
import type { App } from "../app/app";
import { Dialog } from "../ui/Dialog";
import { formatBytes, formatMoment } from "../ui/format";
import { Problem } from "../ui/Problem";
import { useAction } from "../ui/useAction";
import { FindingsTable } from "./FindingsTable";

const SHOWN = 3;

/** A damaged database: rescue what can be read, restore a backup, or go on reading. */
export function DamageDialog({ app, onClose }: { app: App; onClose(): void }) {
  const findings = useSignal<Findings | null>(null);
  const backups = useSignal<BackupRow[]>([]);
  const action = useAction();
  const listing = useAction();
  useEffect(() => {
    void listing.run(async () => {
      const found = await app.api.backups.list();
      backups.value = found.backups.filter((backup) => backup.state === "whole");
    });
  }, []);
  const problem = action.problem.value;
  return (
    <Dialog title="Your data is damaged" onClose={onClose}>
      <div class="dialog-body" data-testid="damage">
        <p>
          {app.state.value?.trouble?.message} What can still be read is shown. Nothing is saved, so that no
          more is lost.
        </p>
        <section class="way-out" aria-label="Rescue">
          <h3>Rescue what can be read</h3>
          <p class="muted">
            Makes a new database of everything that can be read. The damaged one is kept beside it.
          </p>
          {findings.value && <FindingsTable findings={findings.value} />}
          {problem && problem.code !== "needs_window" && (
            <Problem message={problem.message} hint={problem.hint} />
          )}
          {problem?.code === "needs_window" && (
            <p role="status">The rescued data is used when Deskside is started again.</p>
          )}
          <div class="actions">
            {findings.value ? (
              <button
                type="button"
                class="button primary"
                disabled={action.isBusy.value}
                onClick={() => void action.run(() => app.api.rescue.confirm())}
              >
                Use this and restart Deskside
              </button>
            ) : (
              <button
                type="button"
                class="button primary"
                disabled={action.isBusy.value}
                onClick={() =>
                  void action.run(async () => {
                    findings.value = await app.api.rescue.prepare();
                  })
                }
              >
                {action.isBusy.value ? "Reading…" : "See what can be rescued"}
              </button>
            )}
          </div>
        </section>
        <section class="way-out" aria-label="Backups">
          <h3>Restore a backup</h3>
          {backups.value.length === 0 ? (
            <p class="muted">
              There is no backup in the data folder. One on another disk can be restored, too.
            </p>
          ) : (
            <>
              <p class="muted">Brings back everything as it was then. What came later is lost.</p>
              <ul class="list">
                {backups.value.slice(0, SHOWN).map((backup) => (
                  <li key={backup.name} class="list-row">
                    <div class="list-text">
                      <span>{formatMoment(backup.made_ms)}</span>
                      <span class="muted">{formatBytes(backup.size_bytes)}</span>
                    </div>
                  </li>
                ))}
              </ul>
            </>
          )}
          <div class="actions">
            <button
              type="button"
              class="button"
              onClick={() => {
                onClose();
                app.openSettings("data");
              }}
            >
              Open the backups
            </button>
          </div>
        </section>
        <section class="way-out" aria-label="Reading">
          <h3>Go on reading</h3>
          <p class="muted">
            Look at what is there, copy what you need, and decide later. New messages cannot be sent.
          </p>
          <div class="actions">
            <button type="button" class="button" onClick={onClose}>
              Open for reading only
            </button>
          </div>
        </section>
      </div>
    </Dialog>
  );
}
