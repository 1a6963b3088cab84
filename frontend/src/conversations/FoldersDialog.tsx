import { useSignal } from "@preact/signals";
import { ArrowDown, ArrowUp, Folder, Trash2 } from "lucide-preact";
import type { FolderRow } from "../api.gen";
import type { App } from "../app/app";
import { Dialog } from "../ui/Dialog";
import { IconButton } from "../ui/IconButton";
import { Problem } from "../ui/Problem";
import { useAction } from "../ui/useAction";
import { ALL } from "./list";

/** The folders: make, rename, reorder and remove them. */
export function FoldersDialog({ app, onClose }: { app: App; onClose(): void }) {
  const action = useAction();
  const { folders } = app.sorting.overview.value;
  const run = (change: () => Promise<unknown>) =>
    action.run(async () => {
      await change();
      await app.sorting.load();
    });
  const problem = action.problem.value;
  return (
    <Dialog title="Folders" onClose={onClose}>
      <div class="dialog-body">
        {folders.length === 0 && <p class="muted">No folders yet. Conversations can be put into them.</p>}
        <ul class="folder-list">
          {folders.map((folder, at) => (
            <li key={folder.id} class="folder-row">
              <Folder size={16} strokeWidth={1.75} aria-hidden="true" />
              <NameField folder={folder} onRename={(name) => void run(() => rename(app, folder, name))} />
              <span class="muted">{folder.conversations}</span>
              <IconButton
                icon={ArrowUp}
                label={`Move ${folder.name} up`}
                disabled={at === 0}
                onClick={() => void run(() => app.api.sorting.move_folder({ id: folder.id, to: at - 1 }))}
              />
              <IconButton
                icon={ArrowDown}
                label={`Move ${folder.name} down`}
                disabled={at === folders.length - 1}
                onClick={() => void run(() => app.api.sorting.move_folder({ id: folder.id, to: at + 1 }))}
              />
              <IconButton
                icon={Trash2}
                label={`Remove the folder ${folder.name}; its conversations stay`}
                onClick={() => void run(() => remove(app, folder))}
              />
            </li>
          ))}
        </ul>
        {problem && <Problem message={problem.message} hint={problem.hint} requestId={problem.requestId} />}
        <NewFolder onAdd={(name) => run(() => app.api.sorting.add_folder({ name }))} />
      </div>
    </Dialog>
  );
}

const rename = (app: App, { id }: FolderRow, name: string) => app.api.sorting.rename_folder({ id, name });

async function remove(app: App, { id }: FolderRow): Promise<void> {
  await app.api.sorting.delete_folder({ id });
  if (app.list.view.value.folderId === id) await app.list.show(ALL);
}

/** Enter and leaving the field keep the name; an empty one is not kept. */
function NameField({ folder, onRename }: { folder: FolderRow; onRename(name: string): void }) {
  const keep = (field: HTMLInputElement) => {
    const name = field.value.trim();
    if (name === "") field.value = folder.name;
    else if (name !== folder.name) onRename(name);
  };
  return (
    <input
      class="field"
      aria-label={`Name of the folder ${folder.name}`}
      maxLength={100}
      defaultValue={folder.name}
      onBlur={(event) => keep(event.currentTarget)}
      onKeyDown={(event) => {
        if (event.key === "Enter" && !event.isComposing) keep(event.currentTarget);
      }}
    />
  );
}

export function NewFolder({ onAdd }: { onAdd(name: string): Promise<boolean> }) {
  const name = useSignal("");
  return (
    <form
      class="inline-form"
      onSubmit={async (event) => {
        event.preventDefault();
        if (name.value.trim() !== "" && (await onAdd(name.value.trim()))) name.value = "";
      }}
    >
      <input
        class="field"
        aria-label="Name of a new folder"
        placeholder="New folder"
        maxLength={100}
        value={name.value}
        onInput={(event) => {
          name.value = event.currentTarget.value;
        }}
      />
      <button type="submit" class="button" disabled={name.value.trim() === ""}>
        Add
      </button>
    </form>
  );
}
