/** The backups, and what is done with the data as a whole. No JSX, no DOM. */
import { signal } from "@preact/signals";
import type { AppEvent, BackupList, BackupRow, Commands, Job, Statistics } from "../api.gen";
import { BridgeError } from "../bridge";

export type Backups = ReturnType<typeof createBackups>;

export function createBackups(api: Pick<Commands, "backups">) {
  const list = signal<BackupList | null>(null);
  const statistics = signal<Statistics | null>(null);
  const job = signal<Job | null>(null);
  const loadProblem = signal<BridgeError | null>(null);

  async function load(): Promise<void> {
    try {
      list.value = await api.backups.list();
      job.value = list.value.job;
      // A large database takes a second or more to be measured.
      statistics.value = await api.backups.statistics();
      loadProblem.value = null;
    } catch (error) {
      if (!(error instanceof BridgeError)) throw error;
      loadProblem.value = error;
    }
  }

  function apply(event: Extract<AppEvent, { type: "backups_changed" }>): void {
    job.value = event.job;
    if (event.job === null && list.value) void load();
  }

  return { list, statistics, job, loadProblem, load, apply };
}

export const KINDS: Record<NonNullable<BackupRow["kind"]>, string> = {
  daily: "Daily",
  manual: "Made by hand",
  before_migration: "Before an update",
  before_restore: "Before a restore",
};

export const STATES: Record<BackupRow["state"], string> = {
  whole: "",
  gone: "Its file is gone",
  damaged: "Damaged",
  unreadable: "Damaged, or made by a newer Deskside",
};

const PHASES: Record<Job["phase"], string> = {
  copying: "Copying",
  checking: "Checking",
  files: "Adding attached files",
  encrypting: "Encrypting",
  decrypting: "Decrypting",
  updating: "Bringing the backup up to date",
  comparing: "Comparing",
  vacuum: "Giving space back",
};

/** "Copying, 40 %". */
export function describeJob(job: Job): string {
  const part = job.part > 0 ? `, ${Math.round(job.part * 100)} %` : "…";
  return PHASES[job.phase] + part;
}
