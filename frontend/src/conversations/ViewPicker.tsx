import { useSignal } from "@preact/signals";
import { Archive, ChevronDown, Folder, Inbox, type LucideIcon, Settings2, Tag, Trash2 } from "lucide-preact";
import { useCallback, useRef } from "preact/hooks";
import type { App } from "../app/app";
import { useMenuKeys } from "../ui/menuKeys";
import { Popover } from "../ui/Popover";
import { FoldersDialog } from "./FoldersDialog";
import { ALL, type View } from "./list";

interface Choice {
  label: string;
  icon: LucideIcon;
  view: View;
  count?: number;
}

/** The button that says what the list shows, and the folders, tags, archive and trash behind it. */
export function ViewPicker({ app }: { app: App }) {
  const isOpen = useSignal(false);
  const isManaging = useSignal(false);
  const button = useRef<HTMLButtonElement>(null);
  const close = useCallback(() => {
    isOpen.value = false;
  }, []);
  const { folders, tags } = app.sorting.overview.value;
  const groups: Choice[][] = [
    [{ label: "All conversations", icon: Inbox, view: ALL }],
    folders.map(({ id, name, conversations }) => ({
      label: name,
      icon: Folder,
      view: { place: "listed", folderId: id },
      count: conversations,
    })),
    tags.map(({ name, conversations }) => ({
      label: name,
      icon: Tag,
      view: { place: "listed", tag: name },
      count: conversations,
    })),
    [
      { label: "Archive", icon: Archive, view: { place: "archived" } },
      { label: "Trash", icon: Trash2, view: { place: "deleted" } },
    ],
  ];
  const shown = groups.flat().find(({ view }) => isSame(view, app.list.view.value));
  const Icon = shown?.icon ?? Inbox;
  return (
    <div class="view-picker">
      <button
        ref={button}
        type="button"
        class="view-button"
        data-testid="view-picker"
        aria-haspopup="menu"
        aria-expanded={isOpen.value}
        aria-label={`Shown: ${shown?.label ?? "All conversations"}`}
        onClick={() => {
          if (!isOpen.value) void app.sorting.load();
          isOpen.value = !isOpen.value;
        }}
      >
        <Icon size={15} strokeWidth={1.75} aria-hidden="true" />
        <span>{shown?.label ?? "All conversations"}</span>
        <ChevronDown size={14} aria-hidden="true" />
      </button>
      {isOpen.value && (
        <Popover
          anchor={button}
          placement="bottom-start"
          role="menu"
          label="What the list shows"
          class="menu view-menu"
          onClose={close}
        >
          <Choices
            groups={groups}
            chosen={app.list.view.value}
            onClose={close}
            onChoose={(view) => {
              close();
              void app.list.show(view);
            }}
            onManage={() => {
              close();
              isManaging.value = true;
            }}
          />
        </Popover>
      )}
      {isManaging.value && (
        <FoldersDialog
          app={app}
          onClose={() => {
            isManaging.value = false;
          }}
        />
      )}
    </div>
  );
}

interface ChoicesProps {
  groups: Choice[][];
  chosen: View;
  onClose(): void;
  onChoose(view: View): void;
  onManage(): void;
}

/** Arrow keys move, Enter chooses. */
function Choices({ groups, chosen, onClose, onChoose, onManage }: ChoicesProps) {
  const { list, onKeyDown } = useMenuKeys(onClose);
  return (
    <div ref={list} role="none" onKeyDown={onKeyDown}>
      {groups.map((group, at) =>
        group.length === 0 ? null : (
          <div key={at} role="none" class="menu-group">
            {group.map(({ label, icon: Icon, view, count }) => (
              <button
                key={label}
                type="button"
                class="menu-item"
                role="menuitemradio"
                aria-checked={isSame(view, chosen)}
                onClick={() => onChoose(view)}
              >
                <Icon size={16} strokeWidth={1.75} aria-hidden="true" />
                <span>{label}</span>
                {count !== undefined && <span class="menu-count">{count}</span>}
              </button>
            ))}
          </div>
        ),
      )}
      <div role="none" class="menu-group">
        <button type="button" class="menu-item" role="menuitem" onClick={onManage}>
          <Settings2 size={16} strokeWidth={1.75} aria-hidden="true" />
          <span>Folders…</span>
        </button>
      </div>
    </div>
  );
}

function isSame(a: View, b: View): boolean {
  return a.place === b.place && a.folderId === b.folderId && a.tag === b.tag;
}
