/** The list of conversations at the left. No JSX, no DOM. */
import { signal } from "@preact/signals";
import type { AppEvent, Commands, ConversationRow } from "../api.gen";
import { BridgeError } from "../bridge";

export type ConversationList = ReturnType<typeof createConversationList>;

const PAGE = 50;
const LARGEST_PAGE = 200;

export function createConversationList(api: Pick<Commands, "conversations">) {
  const rows = signal<ConversationRow[]>([]);
  const isLoaded = signal(false);
  const isLoadingMore = signal(false);
  const problem = signal<BridgeError | null>(null);
  const nextCursor = signal<string | null>(null);

  /** Loaded again, it is as long as it was, so that the reader keeps their place. */
  async function load(): Promise<void> {
    const limit = Math.min(Math.max(PAGE, rows.value.length), LARGEST_PAGE);
    await page(null, limit, (found) => {
      rows.value = found;
      isLoaded.value = true;
    });
  }

  /** Called when the reader comes near the end of the list. */
  async function loadMore(): Promise<void> {
    if (nextCursor.value === null || isLoadingMore.value) return;
    isLoadingMore.value = true;
    await page(nextCursor.value, PAGE, merge);
    isLoadingMore.value = false;
  }

  async function page(
    cursor: string | null,
    limit: number,
    take: (found: ConversationRow[]) => void,
  ): Promise<void> {
    try {
      const found = await api.conversations.page({ cursor, limit });
      nextCursor.value = found.next_cursor;
      problem.value = null;
      take(found.conversations);
    } catch (error) {
      if (!(error instanceof BridgeError)) throw error;
      problem.value = error;
    }
  }

  function apply(event: AppEvent): void {
    if (event.type === "conversation_changed") merge([event.conversation]);
    if (event.type === "conversation_deleted") {
      rows.value = rows.value.filter((row) => row.id !== event.conversation_id);
    }
  }

  /** New and changed rows, the last used first. */
  function merge(changed: ConversationRow[]): void {
    const byId = new Map(rows.value.map((row) => [row.id, row]));
    for (const row of changed) byId.set(row.id, row);
    rows.value = [...byId.values()].sort((a, b) => b.updated_ms - a.updated_ms || b.id - a.id);
  }

  return { rows, isLoaded, isLoadingMore, nextCursor, problem, load, loadMore, apply };
}
