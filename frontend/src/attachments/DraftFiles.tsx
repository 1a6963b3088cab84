import { useSignal } from "@preact/signals";
import type { App } from "../app/app";
import { FileChip, SendingChip } from "./FileChip";
import { FilePreview } from "./FilePreview";

/** The files that go with the next question. */
export function DraftFiles({ app, id, isRunning }: { app: App; id: number | null; isRunning: boolean }) {
  const openKey = useSignal<number | null>(null);
  const files = app.files.of(id).value;
  const open = files.find(({ key }) => key === openKey.value)?.row;
  if (files.length === 0) return null;
  return (
    <>
      <ul class="file-list composer-files" aria-label="Attached files" data-testid="attachments">
        {files.map((file) =>
          file.row ? (
            <FileChip
              key={file.key}
              row={file.row}
              onDragStart={app.dragging.ofAttachment(file.row)}
              onOpen={() => {
                openKey.value = file.key;
              }}
              onRemove={() => void app.files.remove(id, file.key)}
            />
          ) : (
            <SendingChip
              key={file.key}
              file={file}
              onRetry={() => app.files.retry(id, file.key)}
              onRemove={() => void app.files.remove(id, file.key)}
            />
          ),
        )}
      </ul>
      {isRunning && (
        <p class="muted composer-note" role="status">
          An answer that is being written takes no files. Send them when it has ended.
        </p>
      )}
      {open && (
        <FilePreview
          app={app}
          row={open}
          onClose={() => {
            openKey.value = null;
          }}
        />
      )}
    </>
  );
}
