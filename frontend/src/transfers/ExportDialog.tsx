import { useSignal } from "@preact/signals";
import type { ExportConversationsInput } from "../api.gen";
import type { App } from "../app/app";
import { Dialog } from "../ui/Dialog";
import { Problem } from "../ui/Problem";
import { useAction } from "../ui/useAction";
import type { Exporting } from "./transfers";

type Format = ExportConversationsInput["format"];

const FORMATS: { value: Format; label: string; hint: string }[] = [
  {
    value: "json",
    label: "Everything (JSON)",
    hint: "All versions, tools, usage and attachments. Deskside can import it again.",
  },
  { value: "markdown", label: "Markdown", hint: "Plain text to read, keep or edit anywhere." },
  { value: "html", label: "Web page (HTML)", hint: "To read in a browser or to print, with its pictures." },
];

export function ExportDialog({ app, exporting }: { app: App; exporting: Exporting }) {
  const format = useSignal<Format>("json");
  const { isBusy, problem, run } = useAction();
  const close = () => {
    app.transfers.exporting.value = null;
  };
  const write = () =>
    run(async () => {
      const params = { format: format.value, ids: exporting.ids };
      if ((await app.api.transfers.export(params)) !== null) close();
    });
  return (
    <Dialog title={exporting.title} onClose={close}>
      <form
        class="transfer"
        onSubmit={(event) => {
          event.preventDefault();
          void write();
        }}
      >
        <fieldset class="choices">
          <legend class="visually-hidden">Format</legend>
          {FORMATS.map(({ value, label, hint }) => (
            <label key={value} class="choice">
              <input
                type="radio"
                name="format"
                value={value}
                checked={format.value === value}
                onChange={() => {
                  format.value = value;
                }}
              />
              <span>
                {label}
                <span class="muted">{hint}</span>
              </span>
            </label>
          ))}
        </fieldset>
        {exporting.ids?.length !== 1 && format.value !== "json" && (
          <p class="muted">You get a zip with one file for each conversation.</p>
        )}
        {problem.value && (
          <Problem
            message={problem.value.message}
            hint={problem.value.hint}
            requestId={problem.value.requestId}
          />
        )}
        <div class="actions transfer-actions">
          <button type="button" class="button quiet" onClick={close}>
            Cancel
          </button>
          <button type="submit" class="button primary" disabled={isBusy.value}>
            Choose where…
          </button>
        </div>
      </form>
    </Dialog>
  );
}
