import { useSignal } from "@preact/signals";
import { Ellipsis, FileDown, Pencil, Trash2 } from "lucide-preact";
import { useEffect, useRef } from "preact/hooks";
import type { ConversationRow } from "../api.gen";
import { IconButton } from "../ui/IconButton";
import { Menu } from "../ui/Menu";

interface Props {
  row: ConversationRow;
  isOpen: boolean;
  isRenaming: boolean;
  onOpen(): void;
  onRenaming(isRenaming: boolean): void;
  onRename(title: string): void;
  onExport(): void;
  onDelete(): void;
}

export function ConversationItem(props: Props) {
  const { row, isOpen, isRenaming, onOpen, onRenaming, onRename, onExport, onDelete } = props;
  const isMenuOpen = useSignal(false);
  const more = useRef<HTMLButtonElement>(null);
  const link = useRef<HTMLButtonElement>(null);

  const onKeyDown = (event: KeyboardEvent) => {
    if (event.key === "F2") onRenaming(true);
    else if (event.key === "Delete") onDelete();
    else return;
    event.preventDefault();
  };
  const endRename = (title: string | null) => {
    onRenaming(false);
    if (title !== null && title !== row.title) onRename(title);
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
    <li class="conversation" data-testid="conversation-item" data-menu={isMenuOpen.value}>
      <button
        ref={link}
        type="button"
        class="conversation-link"
        data-id={row.id}
        aria-current={isOpen ? "page" : undefined}
        title={row.title}
        onClick={onOpen}
        onDblClick={() => onRenaming(true)}
        onKeyDown={onKeyDown}
      >
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
          items={[
            { label: "Rename", icon: Pencil, keys: "F2", run: () => onRenaming(true) },
            { label: "Export…", icon: FileDown, run: onExport },
            { label: "Delete", icon: Trash2, keys: "Del", isDangerous: true, run: onDelete },
          ]}
        />
      )}
    </li>
  );
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
