import { useSignal } from "@preact/signals";
import { Undo2 } from "lucide-preact";
import { useEffect } from "preact/hooks";
import type { WrittenFile } from "../api.gen";
import type { App } from "../app/app";
import { formatMoment } from "../ui/format";
import { Problem } from "../ui/Problem";
import { useAction } from "../ui/useAction";

const SHOWN = 20;

/** The files that the assistant wrote last, each with its way back. Nothing is shown while there are none. */
export function ChangedFiles({ app }: { app: App }) {
  const files = useSignal<WrittenFile[]>([]);
  const action = useAction();
  useEffect(() => {
    void action.run(async () => {
      files.value = await app.api.files.written({});
    });
  }, []);
  const undo = (file: WrittenFile) =>
    void action.run(async () => {
      const undone = await app.api.files.undo({ id: file.id });
      files.value = files.value.map((each) => (each.id === undone.id ? undone : each));
    });
  const problem = action.problem.value;
  if (files.value.length === 0 && !problem) return null;
  return (
    <section class="card" aria-label="Changed files">
      <h2>Changed files</h2>
      <ul class="list">
        {files.value.slice(0, SHOWN).map((file) => (
          <li key={file.id} class="list-row list-row-tall">
            <div class="list-text wraps">
              <span>{file.path}</span>
              <span class="muted">
                {file.existed ? "Changed" : "Created"} {formatMoment(file.created_ms)}
                {file.undone_ms !== null && ` · undone ${formatMoment(file.undone_ms)}`}
                {file.undone_ms === null && !file.can_undo && " · too long ago to be undone"}
              </span>
            </div>
            {file.can_undo && (
              <button
                type="button"
                class="button"
                aria-label={`Undo the change of ${file.path}`}
                disabled={action.isBusy.value}
                onClick={() => undo(file)}
              >
                <Undo2 size={14} aria-hidden="true" />
                Undo
              </button>
            )}
          </li>
        ))}
      </ul>
      {problem && <Problem message={problem.message} hint={problem.hint} requestId={problem.requestId} />}
    </section>
  );
}
