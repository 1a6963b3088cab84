import { useSignal } from "@preact/signals";
import type { AttachmentRow } from "../api.gen";
import type { App } from "../app/app";
import { FileChip } from "./FileChip";
import { FilePreview } from "./FilePreview";

/** The files of a question that was asked. */
export function MessageFiles({ app, rows }: { app: App; rows: AttachmentRow[] }) {
  const openId = useSignal<number | null>(null);
  const open = rows.find(({ id }) => id === openId.value);
  if (rows.length === 0) return null;
  return (
    <>
      <ul class="file-list" aria-label="Files">
        {rows.map((row) => (
          <FileChip
            key={row.id}
            row={row}
            onDragStart={app.dragging.ofAttachment(row)}
            onOpen={() => {
              openId.value = row.id;
            }}
          />
        ))}
      </ul>
      {open && (
        <FilePreview
          app={app}
          row={open}
          onClose={() => {
            openId.value = null;
          }}
        />
      )}
    </>
  );
}
