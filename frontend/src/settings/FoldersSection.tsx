import { FolderPlus, Trash2 } from "lucide-preact";
import type { GrantedFolder } from "../api.gen";
import type { App } from "../app/app";
import { IconButton } from "../ui/IconButton";
import { Problem } from "../ui/Problem";
import { useAction } from "../ui/useAction";
import { ChangedFiles } from "./ChangedFiles";

/** Python's dialogs ask for what widens a grant; the list follows from the settings. */
export function FoldersSection({ app }: { app: App }) {
  const folders = app.settings.value?.folders ?? [];
  const action = useAction();
  const problem = action.problem.value;
  return (
    <>
      <p class="lead">
        The assistant can use the files in these folders and no others. Before it changes a file it asks you,
        and each change can be undone.
      </p>
      <section class="card" aria-label="Folders">
        {folders.length === 0 && <p class="muted">No folder yet: the assistant sees none of your files.</p>}
        <ul class="list">
          {folders.map((folder) => (
            <FolderItem
              key={folder.path}
              folder={folder}
              isBusy={action.isBusy.value}
              onChange={(can_write) =>
                void action.run(() => app.api.folders.change({ path: folder.path, can_write }))
              }
              onRemove={() => void action.run(() => app.api.folders.remove({ path: folder.path }))}
            />
          ))}
        </ul>
        {problem && <Problem message={problem.message} hint={problem.hint} requestId={problem.requestId} />}
        <button
          type="button"
          class="button"
          disabled={action.isBusy.value}
          onClick={() => void action.run(() => app.api.folders.grant({ can_write: false }))}
        >
          <FolderPlus size={14} aria-hidden="true" />
          Add a folder…
        </button>
      </section>
      <ChangedFiles app={app} />
    </>
  );
}

interface ItemProps {
  folder: GrantedFolder;
  isBusy: boolean;
  onChange(canWrite: boolean): void;
  onRemove(): void;
}

function FolderItem({ folder, isBusy, onChange, onRemove }: ItemProps) {
  const name = folder.path.split(/[/\\]/).at(-1) || folder.path;
  return (
    <li class="list-row list-row-tall">
      <div class="list-text wraps">
        <strong>{name}</strong>
        <span class="muted">{folder.path}</span>
      </div>
      <label class="check">
        <input
          type="checkbox"
          aria-label={`May change files in ${name}`}
          checked={folder.can_write}
          disabled={isBusy}
          onChange={(event) => {
            const { checked } = event.currentTarget;
            // It shows what holds, which the dialog decides.
            event.currentTarget.checked = folder.can_write;
            onChange(checked);
          }}
        />
        May change files
      </label>
      <IconButton icon={Trash2} label={`Remove ${name}`} disabled={isBusy} onClick={onRemove} />
    </li>
  );
}
