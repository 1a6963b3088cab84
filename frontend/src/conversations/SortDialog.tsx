import { useSignal } from "@preact/signals";
import type { ConversationChangesInput, ConversationRow, FolderRow } from "../api.gen";
import type { App } from "../app/app";
import { Dialog } from "../ui/Dialog";
import { Problem } from "../ui/Problem";
import { useAction } from "../ui/useAction";
import { NewFolder } from "./FoldersDialog";

interface Props {
  app: App;
  rows: ConversationRow[];
  onClose(): void;
}

/** Which folder one or several conversations are in, and which tags they have. Each press is kept at once. */
export function SortDialog({ app, rows, onClose }: Props) {
  const shown = useSignal(rows);
  const action = useAction();
  const { folders, tags } = app.sorting.overview.value;
  const ids = rows.map(({ id }) => id);
  const change = (changes: ConversationChangesInput) =>
    action.run(async () => {
      shown.value = await app.api.conversations.change({ ids, changes });
      await app.sorting.load();
    });
  const folderIds = new Set(shown.value.map(({ folder_id }) => folder_id));
  const isIn = (id: number | null) => folderIds.size === 1 && folderIds.has(id);
  const names = [
    ...new Set([...tags.map(({ name }) => name), ...shown.value.flatMap(({ tags }) => tags)]),
  ].sort();
  const problem = action.problem.value;
  return (
    <Dialog
      title={rows.length === 1 ? "Folder and tags" : `Sort ${rows.length} conversations`}
      onClose={onClose}
    >
      <div class="dialog-body">
        <fieldset class="sort-group">
          <legend>Folder</legend>
          {[{ id: null, name: "No folder" }, ...folders].map(
            ({ id, name }: Pick<FolderRow, "name"> & { id: number | null }) => (
              <label key={id} class="check">
                <input
                  type="radio"
                  name="folder"
                  checked={isIn(id)}
                  disabled={action.isBusy.value}
                  onChange={() => void change({ folder_id: id })}
                />
                {name}
              </label>
            ),
          )}
          <NewFolder
            onAdd={(name) =>
              action.run(async () => {
                const { id } = await app.api.sorting.add_folder({ name });
                shown.value = await app.api.conversations.change({ ids, changes: { folder_id: id } });
                await app.sorting.load();
              })
            }
          />
        </fieldset>
        <fieldset class="sort-group">
          <legend>Tags</legend>
          {names.map((name) => {
            const having = shown.value.filter(({ tags }) => tags.includes(name)).length;
            return (
              <label key={name} class="check">
                <input
                  type="checkbox"
                  checked={having === shown.value.length}
                  indeterminate={having > 0 && having < shown.value.length}
                  disabled={action.isBusy.value}
                  onChange={() =>
                    void change(
                      having === shown.value.length ? { remove_tags: [name] } : { add_tags: [name] },
                    )
                  }
                />
                {name}
              </label>
            );
          })}
          <NewTag onAdd={(name) => change({ add_tags: [name] })} />
        </fieldset>
        {problem && <Problem message={problem.message} hint={problem.hint} requestId={problem.requestId} />}
      </div>
    </Dialog>
  );
}

/** A tag is one word, as it is typed behind `tag:` in a search. */
function NewTag({ onAdd }: { onAdd(name: string): Promise<boolean> }) {
  const name = useSignal("");
  return (
    <form
      class="inline-form"
      onSubmit={async (event) => {
        event.preventDefault();
        if (name.value !== "" && (await onAdd(name.value))) name.value = "";
      }}
    >
      <input
        class="field"
        aria-label="A new tag"
        placeholder="New tag"
        maxLength={50}
        value={name.value}
        onInput={(event) => {
          name.value = event.currentTarget.value.trimStart().replace(/[\s"]+/g, "-");
          event.currentTarget.value = name.value;
        }}
      />
      <button type="submit" class="button" disabled={name.value === ""}>
        Add
      </button>
    </form>
  );
}
