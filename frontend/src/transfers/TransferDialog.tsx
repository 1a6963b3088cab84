import { CircleCheck } from "lucide-preact";
import { useId } from "preact/hooks";
import type { Transfer } from "../api.gen";
import type { App } from "../app/app";
import { Dialog } from "../ui/Dialog";
import { formatBytes } from "../ui/format";
import { Problem } from "../ui/Problem";
import { SkippedList } from "./SkippedList";
import { isWorking } from "./transfers";
import { counted, facts, PROGRAMS } from "./words";

/** One import or export: what it would bring, how far it is, what came of it. */
export function TransferDialog({ app, transfer }: { app: App; transfer: Transfer }) {
  const { api, toasts, transfers } = app;
  const putAway = () => void toasts.attempt(() => api.transfers.put_away());
  const cancel = () => void toasts.attempt(() => api.transfers.cancel());
  const title = transfer.kind === "import" ? "Import conversations" : "Export conversations";
  if (isWorking(transfer)) {
    return (
      <Dialog title={title} onClose={transfers.hide}>
        <div class="transfer">
          <Progress transfer={transfer} />
          {transfer.kind === "import" && transfer.state === "working" && (
            <p class="muted">
              If you stop, the conversations that came stay, and importing again adds the rest.
            </p>
          )}
          <div class="actions transfer-actions">
            <button type="button" class="button" onClick={cancel}>
              {transfer.state === "working" && transfer.kind === "import" ? "Stop" : "Cancel"}
            </button>
          </div>
        </div>
      </Dialog>
    );
  }
  return (
    <Dialog title={title} onClose={putAway}>
      <div class="transfer">
        <Outcome transfer={transfer} />
        {transfers.skipped.value && transfer.kind === "import" && (
          <SkippedList report={transfers.skipped.value} isDone={transfer.state !== "looked"} />
        )}
        {transfer.state === "looked" ? (
          <div class="actions transfer-actions">
            <button type="button" class="button quiet" onClick={putAway}>
              Cancel
            </button>
            <button
              type="button"
              class="button primary"
              disabled={transfer.counts.conversations === 0}
              onClick={() => void toasts.attempt(() => api.transfers.import_())}
            >
              Import
            </button>
          </div>
        ) : (
          <div class="actions transfer-actions">
            <button type="button" class="button primary" onClick={putAway}>
              Close
            </button>
          </div>
        )}
      </div>
    </Dialog>
  );
}

function Progress({ transfer }: { transfer: Transfer }) {
  const id = useId();
  const { kind, state, done, total, name, counts } = transfer;
  const label = state === "looking" ? "Reading" : kind === "import" ? "Importing" : "Writing";
  const far =
    kind === "export"
      ? `${done} of ${counted(total, "conversation")}`
      : `${formatBytes(done)} of ${formatBytes(total)} · ${counted(counts.conversations, "conversation")}`;
  return (
    <div class="download-progress">
      <label for={id} class="transfer-name">
        {label} “{name}”
      </label>
      <progress id={id} max={total || 1} value={done} />
      <span class="muted">{total > 0 ? far : "…"}</span>
    </div>
  );
}

function Outcome({ transfer }: { transfer: Transfer }) {
  const { kind, state, name, program, path, counts, message, hint } = transfer;
  if (state === "failed") {
    return (
      <>
        <Problem message={message} hint={hint} />
        {kind === "import" && counts.conversations > 0 && (
          <p>What came before that stays: {counted(counts.conversations, "conversation")}.</p>
        )}
      </>
    );
  }
  if (kind === "export") {
    if (state === "cancelled") return <p>Cancelled. No file was written.</p>;
    return (
      <>
        <p class="success">
          <CircleCheck size={18} strokeWidth={1.75} aria-hidden="true" />
          {counted(counts.conversations, "conversation")} exported
        </p>
        <p class="path">
          <code>{path}</code>
        </p>
      </>
    );
  }
  const heading = {
    looked: `“${name}” is an export of ${PROGRAMS[program] ?? program}. It would bring:`,
    cancelled: "Stopped. Until then came, and stays:",
    done: "Imported:",
  }[state as "looked" | "cancelled" | "done"];
  const isNothing = counts.conversations === 0;
  return (
    <>
      <p>{isNothing && state === "looked" ? `There is nothing new in “${name}”.` : heading}</p>
      <ul class="transfer-facts">
        {facts(counts, state !== "looked").map((line) => (
          <li key={line}>{line}</li>
        ))}
      </ul>
    </>
  );
}
