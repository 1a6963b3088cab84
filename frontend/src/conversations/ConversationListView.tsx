import { useSignal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import type { ConversationRow } from "../api.gen";
import type { App } from "../app/app";
import { Problem } from "../ui/Problem";
import { ConversationItem } from "./ConversationItem";
import { groupByDay } from "./dates";

const MINUTE_MS = 60_000;
/** Pixels before the end at which the next page is asked for. */
const NEAR_END = 400;

export function ConversationListView({ app }: { app: App }) {
  const { list } = app;
  const nav = useRef<HTMLElement>(null);
  const now = useSignal(new Date());
  const renamingId = useSignal<number | null>(null);

  // "Today" becomes "Yesterday" while the window stays open.
  useEffect(() => {
    const timer = setInterval(() => {
      if (now.value.getDate() !== new Date().getDate()) now.value = new Date();
    }, MINUTE_MS);
    return () => clearInterval(timer);
  }, []);

  const items = () => [...(nav.current?.querySelectorAll<HTMLElement>(".conversation-link") ?? [])];

  const remove = async (row: ConversationRow) => {
    const at = items().findIndex((item) => item.dataset.id === String(row.id));
    await app.remove(row);
    // The focus goes to what takes the place of the row that is gone.
    requestAnimationFrame(() => (items()[at] ?? items().at(-1))?.focus());
  };

  const onKeyDown = (event: KeyboardEvent) => {
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
  return (
    <nav
      ref={nav}
      class="conversations"
      aria-label="Conversations"
      data-testid="conversation-list"
      onKeyDown={onKeyDown}
      onScroll={onScroll}
    >
      {list.problem.value && (
        <Problem message={list.problem.value.message} hint={list.problem.value.hint}>
          <button type="button" class="button" onClick={() => void list.load()}>
            Try again
          </button>
        </Problem>
      )}
      {list.isLoaded.value && list.rows.value.length === 0 && (
        <p class="muted conversations-empty">Your conversations will be listed here.</p>
      )}
      {groupByDay(list.rows.value, now.value).map(({ label, rows }) => (
        <section key={label} aria-label={label}>
          <h2 class="group-label">{label}</h2>
          <ul>
            {rows.map((row) => (
              <ConversationItem
                key={row.id}
                row={row}
                isOpen={row.id === openId}
                isRenaming={row.id === renamingId.value}
                onOpen={() => app.openConversation(row)}
                onRenaming={(isRenaming) => {
                  renamingId.value = isRenaming ? row.id : null;
                }}
                onRename={(title) => void app.rename(row.id, title)}
                onExport={() => {
                  app.transfers.exporting.value = { ids: [row.id], title: `Export “${row.title}”` };
                }}
                onDelete={() => void remove(row)}
              />
            ))}
          </ul>
        </section>
      ))}
    </nav>
  );
}
