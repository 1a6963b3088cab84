import type { App } from "../app/app";
import { ExportDialog } from "./ExportDialog";
import { TransferDialog } from "./TransferDialog";

/** The dialogs of imports and exports, wherever they were opened from. */
export function TransferDialogs({ app }: { app: App }) {
  const { transfers } = app;
  if (transfers.exporting.value) return <ExportDialog app={app} exporting={transfers.exporting.value} />;
  if (transfers.isShown.value && transfers.current.value) {
    return <TransferDialog app={app} transfer={transfers.current.value} />;
  }
  return null;
}
