import { useSignal } from "@preact/signals";
import { Undo2 } from "lucide-preact";
import { useEffect } from "preact/hooks";
import type { WrittenFile } from "../api.gen";
import type { App } from "../app/app";
import { Problem } from "../ui/Problem";
import { useAction } from "../ui/useAction";

interface Props {
  app: App;
  messageId: number;
  callId: string;
}

/** The way back beside a call that wrote a file. Nothing is shown where it wrote none, or too long ago. */
export function UndoWrite({ app, messageId, callId }: Props) {
  const file = useSignal<WrittenFile | null>(null);
  const action = useAction();
  useEffect(() => {
    void action.run(async () => {
      const rows = await app.api.files.written({ message_id: messageId });
      const own = rows.filter(({ call_id }) => call_id === callId);
      // Some servers use an id again; then nobody can tell which file is meant. Settings has them all.
      file.value = own.length === 1 ? (own[0] ?? null) : null;
    });
  }, [messageId, callId]);
  const undo = (id: number) =>
    action.run(async () => {
      file.value = await app.api.files.undo({ id });
    });
  const problem = action.problem.value;
  return (
    <>
      {file.value?.can_undo && (
        <button
          type="button"
          class="button undo-write"
          aria-label={`Undo the change of ${file.value.path}`}
          title={file.value.existed ? "Bring back what was in the file before" : "Remove the file again"}
          disabled={action.isBusy.value}
          onClick={() => void undo(file.value?.id ?? 0)}
        >
          <Undo2 size={14} aria-hidden="true" />
          Undo
        </button>
      )}
      <span class="muted undo-write" role="status">
        {file.value?.undone_ms && "Undone"}
      </span>
      {problem && <Problem message={problem.message} hint={problem.hint} requestId={problem.requestId} />}
    </>
  );
}
