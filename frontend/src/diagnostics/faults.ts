/** What failed without anybody having asked for it, in words. */
import { signal } from "@preact/signals";
import type { Commands, ErrorRow } from "../api.gen";
import type { Toasts } from "../ui/toasts";

export type Faults = ReturnType<typeof createFaults>;

const WORDS: Record<string, string> = {
  command: "A request of the window failed",
  run: "An answer failed",
  thread: "Something that ran in the background failed",
  task: "Something that ran in the background failed",
  child: "A program that Deskside started has crashed",
  window: "A part of the window failed",
  renderer: "The window stopped working, and was loaded again",
  crash: "Deskside crashed the last time",
  program: "Something failed inside Deskside",
  reports: "A report of an error could not be made",
  keys: "One of your keys is in a file where it may not be",
};

const LISTED = 50;

/** A failure as its user would put it. */
export const wordsOf = (fault: ErrorRow): string => WORDS[fault.source] ?? "Something failed";

/** Whom a DSN leads to, as the user knows it. */
export const hostOf = (dsn: string): string => new URL(dsn).host;

export function createFaults(api: Commands, toasts: Toasts, openDiagnostics: () => void) {
  /** Null until the list was shown. */
  const rows = signal<ErrorRow[] | null>(null);

  async function load(): Promise<void> {
    rows.value = await api.diagnostics.recent_errors({ limit: LISTED });
  }

  async function clear(): Promise<void> {
    await api.diagnostics.clear_errors();
    await load();
  }

  /** A failure came, or came again. The user is told of each kind once. */
  async function follow(fault: ErrorRow): Promise<void> {
    if (rows.value) await load();
    if (fault.is_shown) return;
    const action = { label: "Details", run: openDiagnostics };
    toasts.show({ level: "error", message: `${wordsOf(fault)}.`, hint: fault.message, action });
    await api.diagnostics.mark_errors_shown();
  }

  return { rows, load, clear, follow };
}
