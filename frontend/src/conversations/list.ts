/**
 * The conversations of one view: all that are listed, a folder, a tag, the archive or the trash. No JSX,
 * no DOM.
 */
import { signal } from "@preact/signals";
import type { AppEvent, Commands, ConversationRow, PageConversationsInput } from "../api.gen";
import { BridgeError } from "../bridge";
import { formatCount } from "../ui/format";

export type ConversationList = ReturnType<typeof createConversationList>;

/** What the list shows. A folder or a tag narrows down what is listed. */
export interface View {
  place: NonNullable<PageConversationsInput["place"]>;
  folderId?: number;
  tag?: string;
}

const PAGE = 50;
export const ALL: View = { place: "listed" };
const LARGEST_PAGE = 200;

export function createConversationList(api: Pick<Commands, "conversations">) {
  const view = signal<View>(ALL);
  const rows = signal<ConversationRow[]>([]);
  const isLoaded = signal(false);
  const isLoadingMore = signal(false);
  const problem = signal<BridgeError | null>(null);
  const nextCursor = signal<string | null>(null);
  /** The ids that the next action is for; empty while nobody selects. */
  const selected = signal<ReadonlySet<number>>(new Set());
  let newestLoad = 0;

  /** Loaded again, it is as long as it was, so that the reader keeps their place. */
  async function load(): Promise<void> {
    const limit = Math.min(Math.max(PAGE, rows.value.length), LARGEST_PAGE);
    await page(null, limit, (found, pinned) => {
      rows.value = sorted([...pinned, ...found]);
      isLoaded.value = true;
      keepSelected();
    });
  }

  /** Called when the reader comes near the end of the list. */
  async function loadMore(): Promise<void> {
    if (nextCursor.value === null || isLoadingMore.value) return;
    isLoadingMore.value = true;
    await page(nextCursor.value, PAGE, merge);
    isLoadingMore.value = false;
  }

  async function show(next: View): Promise<void> {
    view.value = next;
    rows.value = [];
    nextCursor.value = null;
    isLoaded.value = false;
    selected.value = new Set();
    await load();
  }

  async function page(
    cursor: string | null,
    limit: number,
    take: (found: ConversationRow[], pinned: ConversationRow[]) => void,
  ): Promise<void> {
    const { place, folderId, tag } = view.value;
    const request = { cursor, limit, place, folder_id: folderId ?? null, tag: tag ?? null };
    const ownLoad = cursor === null ? ++newestLoad : newestLoad;
    try {
      const [found, pinned] = await Promise.all([
        api.conversations.page(request),
        // They may be far down the list.
        cursor === null && view.value === ALL ? api.conversations.pinned() : [],
      ]);
      if (ownLoad !== newestLoad) return;
      nextCursor.value = found.next_cursor;
      problem.value = null;
      take(found.conversations, pinned);
    } catch (error) {
      if (!(error instanceof BridgeError)) throw error;
      if (ownLoad === newestLoad) problem.value = error;
    }
  }

  function apply(event: AppEvent): void {
    if (event.type === "conversation_changed") {
      if (belongs(event.conversation)) merge([event.conversation]);
      else drop(event.conversation.id);
    }
    if (event.type !== "conversation_deleted") return;
    if (view.value.place === "deleted") void load();
    else drop(event.conversation_id);
  }

  function belongs(row: ConversationRow): boolean {
    const { place, folderId, tag } = view.value;
    const at = row.deleted_ms !== null ? "deleted" : row.is_archived ? "archived" : "listed";
    return (
      at === place &&
      (folderId === undefined || row.folder_id === folderId) &&
      (tag === undefined || row.tags.includes(tag))
    );
  }

  function drop(id: number): void {
    rows.value = rows.value.filter((row) => row.id !== id);
    keepSelected();
  }

  /** New and changed rows, the last used first. */
  function merge(changed: ConversationRow[]): void {
    rows.value = sorted([...rows.value, ...changed]);
  }

  function keepSelected(): void {
    const ids = new Set(rows.value.map(({ id }) => id));
    const kept = [...selected.value].filter((id) => ids.has(id));
    if (kept.length !== selected.value.size) selected.value = new Set(kept);
  }

  /** Adds a row to the selection, or takes it out. */
  function toggle(id: number): void {
    const next = new Set(selected.value);
    if (!next.delete(id)) next.add(id);
    selected.value = next;
  }

  /** Selects all rows of `shown` (ids in the order of the screen) from the last selected one to `id`. */
  function selectTo(id: number, shown: number[]): void {
    const last = [...selected.value].at(-1) ?? id;
    const [from, to] = [shown.indexOf(last), shown.indexOf(id)].sort((a, b) => a - b) as [number, number];
    const between = shown.slice(Math.max(0, from), to + 1).filter((each) => each !== id);
    selected.value = new Set([...selected.value, ...between, id]);
  }

  function deselect(): void {
    selected.value = new Set();
  }

  return {
    view,
    rows,
    isLoaded,
    isLoadingMore,
    nextCursor,
    problem,
    selected,
    load,
    loadMore,
    show,
    apply,
    toggle,
    selectTo,
    deselect,
  };
}

/** “Plans”, or how many they are. */
export function namesOf(rows: ConversationRow[]): string {
  return rows.length === 1 ? `“${rows[0]?.title}”` : `${formatCount(rows.length)} conversations`;
}

/** One row an id, the last of them, the last used first. */
function sorted(rows: ConversationRow[]): ConversationRow[] {
  const byId = new Map(rows.map((row) => [row.id, row]));
  return [...byId.values()].sort((a, b) => b.updated_ms - a.updated_ms || b.id - a.id);
}
