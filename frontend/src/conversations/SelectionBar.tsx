import { Archive, ArchiveRestore, FileDown, FolderInput, Pin, RotateCcw, Trash2, X } from "lucide-preact";
import type { ConversationRow } from "../api.gen";
import type { App } from "../app/app";
import { IconButton } from "../ui/IconButton";

interface Props {
  app: App;
  onSort(rows: ConversationRow[]): void;
  onRemoveForGood(rows: ConversationRow[]): void;
}

/** What can be done with all selected conversations at once. */
export function SelectionBar({ app, onSort, onRemoveForGood }: Props) {
  const { list } = app;
  const rows = list.rows.value.filter(({ id }) => list.selected.value.has(id));
  if (rows.length === 0) return null;
  const { place } = list.view.value;
  const act = async (action: () => Promise<unknown>) => {
    await action();
    list.deselect();
  };
  return (
    <div class="selection-bar" role="toolbar" aria-label="Selected conversations" data-testid="selection-bar">
      <span>{rows.length} selected</span>
      {place === "deleted" ? (
        <>
          <IconButton icon={RotateCcw} label="Restore" onClick={() => void act(() => app.restore(rows))} />
          <IconButton icon={Trash2} label="Delete for good" onClick={() => onRemoveForGood(rows)} />
        </>
      ) : (
        <>
          <IconButton
            icon={Pin}
            label="Pin"
            onClick={() => void act(() => app.changeConversations(rows, { is_pinned: true }))}
          />
          <IconButton icon={FolderInput} label="Folder and tags" onClick={() => onSort(rows)} />
          <IconButton
            icon={place === "archived" ? ArchiveRestore : Archive}
            label={place === "archived" ? "Back to the list" : "Archive"}
            onClick={() => void act(() => app.archive(rows, place !== "archived"))}
          />
          <IconButton icon={FileDown} label="Export" onClick={() => app.transfers.exportRows(rows)} />
          <IconButton icon={Trash2} label="Delete" onClick={() => void act(() => app.remove(...rows))} />
        </>
      )}
      <IconButton icon={X} label="Select none" onClick={list.deselect} />
    </div>
  );
}
