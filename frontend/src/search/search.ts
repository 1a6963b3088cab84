/**
 * The search in all conversations. No JSX, no DOM.
 *
 * Every change of the text searches at once; what was under way for an older text is cancelled, and an answer
 * that comes all the same is dropped.
 */
import { computed, signal } from "@preact/signals";
import type { Commands, FoundMessage, FoundTitle, SearchPage } from "../api.gen";
import { BridgeError } from "../bridge";
import { formatCount } from "../ui/format";

export type Search = ReturnType<typeof createSearch>;

/** What was found in one conversation, in the order of its best message. */
export interface FoundGroup {
  conversationId: number;
  title: string;
  isArchived: boolean;
  messages: FoundMessage[];
}

const PAGE = 20;
// As the bridge takes it.
export const LONGEST_TEXT = 500;

export function createSearch(api: Pick<Commands, "search">) {
  const text = signal("");
  /** Only in this conversation. */
  const within = signal<number | null>(null);
  const titles = signal<FoundTitle[]>([]);
  const messages = signal<FoundMessage[]>([]);
  /** The last page that came; null before the first. */
  const page = signal<SearchPage | null>(null);
  const isSearching = signal(false);
  const problem = signal<BridgeError | null>(null);
  let underWay: AbortController | null = null;

  const isActive = computed(() => text.value.trim() !== "");
  const groups = computed(() => grouped(messages.value));
  /** "3,000+ messages", or nothing before there is a page. */
  const count = computed(() => (page.value ? countOf(page.value) : ""));

  function type(next: string): void {
    text.value = next.slice(0, LONGEST_TEXT);
    search();
  }

  function search(): void {
    underWay?.abort();
    underWay = null;
    problem.value = null;
    if (isActive.value) {
      void ask(null, (found) => {
        titles.value = found.titles;
        messages.value = found.messages;
      });
      return;
    }
    isSearching.value = false;
    page.value = null;
    titles.value = [];
    messages.value = [];
  }

  /** Called when the reader comes near the end of the results, or wants to go further back. */
  async function more(): Promise<void> {
    const cursor = page.value?.next_cursor ?? null;
    if (cursor === null || isSearching.value) return;
    await ask(cursor, (found) => {
      messages.value = [...messages.value, ...found.messages];
    });
  }

  async function ask(cursor: string | null, take: (found: SearchPage) => void): Promise<void> {
    const asked = new AbortController();
    underWay = asked;
    isSearching.value = true;
    const request = { text: text.value, conversation_id: within.value, cursor, limit: PAGE };
    try {
      const found = await api.search.find(request, { signal: asked.signal });
      if (underWay !== asked) return;
      take(found);
      page.value = found;
    } catch (error) {
      if (underWay !== asked) return;
      if (!(error instanceof BridgeError)) throw error;
      problem.value = error;
    } finally {
      if (underWay === asked) {
        underWay = null;
        isSearching.value = false;
      }
    }
  }

  function searchWithin(conversationId: number | null): void {
    within.value = conversationId;
    search();
  }

  function clear(): void {
    within.value = null;
    type("");
  }

  return {
    text,
    within,
    titles,
    messages,
    page,
    isSearching,
    problem,
    isActive,
    groups,
    count,
    type,
    search,
    searchWithin,
    more,
    clear,
  };
}

function grouped(messages: FoundMessage[]): FoundGroup[] {
  const groups = new Map<number, FoundGroup>();
  for (const message of messages) {
    const { conversation_id: conversationId, title, is_archived: isArchived } = message;
    const group = groups.get(conversationId) ?? { conversationId, title, isArchived, messages: [] };
    group.messages.push(message);
    groups.set(conversationId, group);
  }
  return [...groups.values()];
}

function countOf({ total, is_more }: SearchPage): string {
  if (total === 0 && !is_more) return "";
  return `${formatCount(total)}${is_more ? "+" : ""} ${total === 1 && !is_more ? "message" : "messages"}`;
}
