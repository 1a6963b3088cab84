import { useSignal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import type { ConversationRow } from "../api.gen";
import type { App } from "../app/app";
import { ConfirmDialog } from "../ui/ConfirmDialog";
import { Problem } from "../ui/Problem";
import { ConversationItem } from "./ConversationItem";
import { groupByDay } from "./dates";
import { namesOf, type View } from "./list";
import { SelectionBar } from "./SelectionBar";
import { SortDialog } from "./SortDialog";
import { ViewPicker } from "./ViewPicker";

const MINUTE_MS = 60_000;
/** Pixels before the end at which the next page is asked for. */
const NEAR_END = 400;

export function ConversationListView({ app }: { app: App }) {
  const { list } = app;
  const nav = useRef<HTMLElement>(null);
  const now = useSignal(new Date());
  const renamingId = useSignal<number | null>(null);
  const sorting = useSignal<ConversationRow[] | null>(null);
  const removing = useSignal<ConversationRow[] | null>(null);
  const isEmptying = useSignal(false);

  // "Today" becomes "Yesterday" while the window stays open.
  useEffect(() => {
    const timer = setInterval(() => {
      if (now.value.getDate() !== new Date().getDate()) now.value = new Date();
    }, MINUTE_MS);
    return () => clearInterval(timer);
  }, []);

  const items = () => [...(nav.current?.querySelectorAll<HTMLElement>(".conversation-link") ?? [])];

  /** An action that takes the row off the list: the focus goes to what takes its place. */
  const act = async (row: ConversationRow, action: () => Promise<unknown>) => {
    const at = items().findIndex((item) => item.dataset.id === String(row.id));
    await action();
    requestAnimationFrame(() => {
      if (!items().some((item) => item.dataset.id === String(row.id))) {
        (items()[at] ?? items().at(-1))?.focus();
      }
    });
  };

  const select = (row: ConversationRow, event: { shiftKey: boolean }) => {
    const shown = items().map((item) => Number(item.dataset.id));
    if (event.shiftKey) list.selectTo(row.id, shown);
    else list.toggle(row.id);
  };

  const onKeyDown = (event: KeyboardEvent) => {
    if (event.key === "Escape" && list.selected.value.size > 0) {
      event.stopPropagation();
      list.deselect();
    }
    const all = items();
    const at = all.indexOf(document.activeElement as HTMLElement);
    const next = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: all.length - 1 }[event.key];
    if (at < 0 || next === undefined) return;
    event.preventDefault();
    all[Math.max(0, Math.min(next, all.length - 1))]?.focus();
  };

  const onScroll = (event: Event) => {
    const { scrollHeight, scrollTop, clientHeight } = event.currentTarget as HTMLElement;
    if (scrollHeight - scrollTop - clientHeight < NEAR_END) void list.loadMore();
  };

  const openId = app.conversation.value.row.value?.id;
  const { view } = list;
  return (
    <>
      <ViewPicker app={app} />
      <nav
        ref={nav}
        class="conversations"
        aria-label="Conversations"
        data-testid="conversation-list"
        onKeyDown={onKeyDown}
        onScroll={onScroll}
      >
        {list.problem.value && (
          <Problem
            message={list.problem.value.message}
            hint={list.problem.value.hint}
            requestId={list.problem.value.requestId}
          >
            <button type="button" class="button" onClick={() => void list.load()}>
              Try again
            </button>
          </Problem>
        )}
        {list.isLoaded.value && list.rows.value.length === 0 && (
          <p class="muted conversations-empty">{emptyText(view.value)}</p>
        )}
        {view.value.place === "deleted" && list.rows.value.length > 0 && (
          <p class="muted trash-note">
            Removed for good after 30 days.
            <button
              type="button"
              class="link"
              onClick={() => {
                isEmptying.value = true;
              }}
            >
              Empty the trash
            </button>
          </p>
        )}
        {groupByDay(list.rows.value, now.value).map(({ label, rows }) => (
          <section key={label} aria-label={label}>
            <h2 class="group-label">{label}</h2>
            <ul>
              {rows.map((row) => (
                <ConversationItem
                  key={row.id}
                  app={app}
                  row={row}
                  isOpen={row.id === openId}
                  isSelected={list.selected.value.has(row.id)}
                  isRenaming={row.id === renamingId.value}
                  onRenaming={(isRenaming) => {
                    renamingId.value = isRenaming ? row.id : null;
                  }}
                  onSelect={(event) => select(row, event)}
                  onSort={() => {
                    sorting.value = [row];
                  }}
                  onRemoveForGood={() => {
                    removing.value = [row];
                  }}
                  act={(action) => void act(row, action)}
                />
              ))}
            </ul>
          </section>
        ))}
      </nav>
      <SelectionBar
        app={app}
        onSort={(rows) => {
          sorting.value = rows;
        }}
        onRemoveForGood={(rows) => {
          removing.value = rows;
        }}
      />
      {sorting.value && (
        <SortDialog
          app={app}
          rows={sorting.value}
          onClose={() => {
            sorting.value = null;
          }}
        />
      )}
      {removing.value && (
        <ConfirmDialog
          title="Delete for good?"
          text={`${namesOf(removing.value)} cannot be brought back. What was used stays in the accounts.`}
          action="Delete for good"
          onConfirm={() => {
            const rows = removing.peek();
            if (rows?.[0]) void act(rows[0], () => app.removeForGood(rows));
          }}
          onClose={() => {
            removing.value = null;
          }}
        />
      )}
      {isEmptying.value && (
        <ConfirmDialog
          title="Empty the trash?"
          text="All conversations in the trash are removed for good. What they cost stays in the accounts."
          action="Empty the trash"
          onConfirm={() => void app.emptyTrash()}
          onClose={() => {
            isEmptying.value = false;
          }}
        />
      )}
    </>
  );
}

function emptyText({ place, folderId, tag }: View): string {
  if (place === "deleted") return "The trash is empty.";
  if (place === "archived") return "Nothing is archived.";
  if (folderId !== undefined) return "This folder is empty. Put conversations into it from their menu.";
  if (tag !== undefined) return "No conversation has this tag.";
  return "Your conversations will be listed here.";
}
