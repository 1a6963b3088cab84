/** The import or export that is under way, and the dialogs that lead to one. No JSX, no DOM. */
import { computed, signal } from "@preact/signals";
import type { AppEvent, Commands, SkippedReport, Transfer } from "../api.gen";
import { BridgeError } from "../bridge";

export type Transfers = ReturnType<typeof createTransfers>;

/** What the export dialog is open for: conversations, or all of them where `ids` is null. */
export interface Exporting {
  ids: number[] | null;
  title: string;
}

export function createTransfers(api: Pick<Commands, "transfers">, onImported: () => void) {
  const current = signal<Transfer | null>(null);
  const skipped = signal<SkippedReport | null>(null);
  const exporting = signal<Exporting | null>(null);
  /** The number of a transfer that goes on without its dialog; it comes back at the end. */
  const hidden = signal<number | null>(null);

  const isUnderWay = computed(() => current.value !== null && isWorking(current.value));
  const isShown = computed(
    () =>
      current.value !== null &&
      !current.value.is_from_terminal &&
      !(isUnderWay.value && hidden.value === current.value.id),
  );

  async function load(): Promise<void> {
    try {
      follow(await api.transfers.current());
    } catch (error) {
      // The socket dropped; the next reset asks again.
      if (!(error instanceof BridgeError)) throw error;
    }
  }

  function apply(event: AppEvent): void {
    if (event.type === "transfer_changed") follow(event.transfer);
  }

  function follow(transfer: Transfer | null): void {
    const before = current.value;
    current.value = transfer;
    if (transfer === null || transfer.kind === "export" || isWorking(transfer)) {
      skipped.value = null;
      return;
    }
    if (before?.id === transfer.id && before.state === transfer.state) return;
    if (transfer.state !== "looked") onImported();
    void loadSkipped();
  }

  async function loadSkipped(): Promise<void> {
    try {
      skipped.value = await api.transfers.skipped();
    } catch (error) {
      // The socket dropped; the counts are there, and the next reset asks again.
      if (!(error instanceof BridgeError)) throw error;
    }
  }

  /** Opens the export dialog for these conversations. */
  const exportRows = (rows: { id: number; title: string }[]) => {
    const [row] = rows;
    if (!row) return;
    const title = rows.length === 1 ? `Export “${row.title}”` : `Export ${rows.length} conversations`;
    exporting.value = { ids: rows.map(({ id }) => id), title };
  };

  const hide = () => {
    hidden.value = current.value?.id ?? null;
  };
  const show = () => {
    hidden.value = null;
  };

  return { current, skipped, exporting, isUnderWay, isShown, load, apply, exportRows, hide, show };
}

export function isWorking(transfer: Transfer): boolean {
  return transfer.state === "looking" || transfer.state === "working";
}
