import { useSignal } from "@preact/signals";
import {
  Archive,
  ArchiveRestore,
  Check,
  Ellipsis,
  FileDown,
  FolderInput,
  Pencil,
  Pin,
  PinOff,
  RotateCcw,
  Sparkles,
  SquareCheck,
  Trash2,
} from "lucide-preact";
import { useEffect, useRef } from "preact/hooks";
import type { ConversationRow } from "../api.gen";
import type { App } from "../app/app";
import { escapeHtml } from "../markdown/html";
import { IconButton } from "../ui/IconButton";
import { Menu, type MenuItem } from "../ui/Menu";

interface Props {
  app: App;
  row: ConversationRow;
  isOpen: boolean;
  isSelected: boolean;
  isRenaming: boolean;
  onRenaming(isRenaming: boolean): void;
  onSelect(event: { shiftKey: boolean }): void;
  onSort(): void;
  onRemoveForGood(): void;
  /** Runs what may take the row off the list. */
  act(action: () => Promise<unknown>): void;
}

export function ConversationItem(props: Props) {
  const { app, row, isOpen, isSelected, isRenaming, onRenaming, onSelect, act } = props;
  const isMenuOpen = useSignal(false);
  const more = useRef<HTMLButtonElement>(null);
  const link = useRef<HTMLButtonElement>(null);
  const isInTrash = row.deleted_ms !== null;

  const onClick = (event: MouseEvent) => {
    if (event.ctrlKey || event.metaKey || event.shiftKey) onSelect(event);
    else if (!isInTrash) app.openConversation(row);
  };
  const onKeyDown = (event: KeyboardEvent) => {
    if (event.key === "F2" && !isInTrash) onRenaming(true);
    else if (event.key === "Delete" && !isInTrash) act(() => app.remove(row));
    else if (event.key === " " && event.ctrlKey) onSelect(event);
    else return;
    event.preventDefault();
  };
  const onDragStart = (event: DragEvent) => {
    const url = `deskside://conversation/${row.id}`;
    const text = `[${row.title.replace(/[[\]\\]/g, "\\$&")}](${url})`;
    const html = `<a href="${url}">${escapeHtml(row.title)}</a>`;
    if (app.dragging.takeConversation(event, row.id, text, html) || event.dataTransfer === null) return;
    // Not as text/uri-list, beside which Qt WebEngine hands on no text.
    event.dataTransfer.setData("text/plain", text);
    event.dataTransfer.setData("text/html", html);
    event.dataTransfer.effectAllowed = "copyLink";
  };
  const endRename = (title: string | null) => {
    onRenaming(false);
    if (title !== null && title !== row.title) void app.rename(row.id, title);
    requestAnimationFrame(() => link.current?.focus());
  };

  if (isRenaming) {
    return (
      <li class="conversation" data-testid="conversation-item">
        <RenameField title={row.title} onEnd={endRename} />
      </li>
    );
  }
  return (
    <li
      class="conversation"
      data-testid="conversation-item"
      data-menu={isMenuOpen.value}
      data-selected={isSelected}
    >
      <button
        ref={link}
        type="button"
        class="conversation-link"
        data-id={row.id}
        aria-current={isOpen ? "page" : undefined}
        aria-pressed={isSelected ? true : undefined}
        title={isInTrash ? `${row.title} (restore it to open it)` : row.title}
        onClick={onClick}
        onDblClick={() => {
          if (!isInTrash) onRenaming(true);
        }}
        onKeyDown={onKeyDown}
        draggable={!isInTrash}
        onDragStart={onDragStart}
      >
        {isSelected && <Check class="conversation-check" size={15} strokeWidth={2.25} aria-hidden="true" />}
        <span class="conversation-title">{row.title}</span>
        {row.is_waiting ? (
          <span class="tag needs-you">Needs you</span>
        ) : row.is_running ? (
          <span class="running" role="img" aria-label="Answering" title="Answering">
            <span class="dot" />
          </span>
        ) : null}
      </button>
      <IconButton
        buttonRef={more}
        icon={Ellipsis}
        class="conversation-more"
        label={`More for ${row.title}`}
        aria-haspopup="menu"
        aria-expanded={isMenuOpen.value}
        onClick={() => {
          isMenuOpen.value = !isMenuOpen.value;
        }}
      />
      {isMenuOpen.value && (
        <Menu
          anchor={more}
          label={`More for ${row.title}`}
          onClose={() => {
            isMenuOpen.value = false;
          }}
          items={itemsOf(props)}
        />
      )}
    </li>
  );
}

function itemsOf({ app, row, onRenaming, onSelect, onSort, onRemoveForGood, act }: Props): MenuItem[] {
  const select: MenuItem = { label: "Select", icon: SquareCheck, run: () => onSelect({ shiftKey: false }) };
  if (row.deleted_ms !== null) {
    return [
      { label: "Restore", icon: RotateCcw, run: () => act(() => app.restore([row])) },
      select,
      { label: "Delete for good…", icon: Trash2, isDangerous: true, run: onRemoveForGood },
    ];
  }
  return [
    { label: "Rename", icon: Pencil, keys: "F2", run: () => onRenaming(true) },
    { label: "Name it with the model", icon: Sparkles, run: () => void app.nameByModel(row.id) },
    {
      label: row.is_pinned ? "Unpin" : "Pin",
      icon: row.is_pinned ? PinOff : Pin,
      run: () => void app.changeConversations([row], { is_pinned: !row.is_pinned }),
    },
    { label: "Folder and tags…", icon: FolderInput, run: onSort },
    select,
    {
      label: row.is_archived ? "Back to the list" : "Archive",
      icon: row.is_archived ? ArchiveRestore : Archive,
      run: () => act(() => app.archive([row], !row.is_archived)),
    },
    { label: "Export…", icon: FileDown, run: () => app.transfers.exportRows([row]) },
    { label: "Delete", icon: Trash2, keys: "Del", isDangerous: true, run: () => act(() => app.remove(row)) },
  ];
}

/** Enter and leaving the field keep the title, Escape and an empty title do not. */
function RenameField({ title, onEnd }: { title: string; onEnd(title: string | null): void }) {
  const field = useRef<HTMLInputElement>(null);
  const isDone = useRef(false);
  useEffect(() => {
    field.current?.focus();
    field.current?.select();
  }, []);

  const end = (isKept: boolean) => {
    if (isDone.current) return;
    isDone.current = true;
    onEnd(isKept ? field.current?.value.trim() || null : null);
  };
  const onKeyDown = (event: KeyboardEvent) => {
    event.stopPropagation();
    if (event.isComposing || (event.key !== "Enter" && event.key !== "Escape")) return;
    event.preventDefault();
    end(event.key === "Enter");
  };
  return (
    <input
      ref={field}
      class="field conversation-rename"
      aria-label="Title"
      maxLength={200}
      defaultValue={title}
      onKeyDown={onKeyDown}
      onBlur={() => end(true)}
    />
  );
}
