import type { RefObject } from "preact";
import type { FoundMessage, Piece } from "../api.gen";
import type { App } from "../app/app";
import { formatDay } from "../ui/format";
import { Problem } from "../ui/Problem";
import type { FoundGroup, Search } from "./search";

/** Pixels before the end at which the next page is asked for. */
const NEAR_END = 400;

interface Props {
  app: App;
  results: RefObject<HTMLElement | null>;
  /** The focus goes up from the first result. */
  onLeave(): void;
}

/** What takes the place of the list of conversations while something is looked for. */
export function SearchResults({ app, results, onLeave }: Props) {
  const { search } = app;
  const page = search.page.value;

  const onKeyDown = (event: KeyboardEvent) => {
    if (event.key === "Escape") {
      event.preventDefault();
      search.clear();
      onLeave();
      return;
    }
    const all = [...(results.current?.querySelectorAll<HTMLElement>(".search-result") ?? [])];
    const at = all.indexOf(document.activeElement as HTMLElement);
    const next = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: all.length - 1 }[event.key];
    if (at < 0 || next === undefined) return;
    event.preventDefault();
    if (next < 0) onLeave();
    else all[Math.min(next, all.length - 1)]?.focus();
  };
  const onScroll = (event: Event) => {
    const { scrollHeight, scrollTop, clientHeight } = event.currentTarget as HTMLElement;
    // Where the time was up, only the button goes on.
    const goesOn = page?.searched_back_to_ms === null;
    if (goesOn && scrollHeight - scrollTop - clientHeight < NEAR_END) void search.more();
  };

  return (
    <section
      ref={results}
      id="search-results"
      class="conversations search-results"
      aria-label="Found"
      aria-busy={search.isSearching.value}
      onKeyDown={onKeyDown}
      onScroll={onScroll}
    >
      <Within app={app} />
      <p class="visually-hidden" role="status">
        {page ? search.count.value || "Nothing was found" : ""}
      </p>
      {search.problem.value && (
        <Problem
          message={search.problem.value.message}
          hint={search.problem.value.hint}
          requestId={search.problem.value.requestId}
        >
          <button type="button" class="button" onClick={search.search}>
            Try again
          </button>
        </Problem>
      )}
      {page?.notes.map((note) => (
        <p key={note} class="muted search-note">
          {note}
        </p>
      ))}
      {search.titles.value.length > 0 && (
        <>
          <h2 class="group-label">Titles</h2>
          <ul>
            {search.titles.value.map(({ conversation_id, title, is_archived }) => (
              <li key={conversation_id}>
                <button
                  type="button"
                  class="search-result"
                  data-testid="search-result"
                  onClick={() => void app.openConversationById(conversation_id)}
                >
                  <span class="search-title">
                    <Pieces pieces={title} />
                  </span>
                  {is_archived && <span class="search-facts">Archived</span>}
                </button>
              </li>
            ))}
          </ul>
        </>
      )}
      {search.count.value && <h2 class="group-label">{search.count.value}</h2>}
      {search.groups.value.map((group) => (
        <Group key={group.conversationId} app={app} group={group} />
      ))}
      <Rest search={search} />
    </section>
  );
}

function Within({ app }: { app: App }) {
  const { search } = app;
  const open = app.conversation.value.row.value?.id;
  if (open === undefined && search.within.value === null) return null;
  return (
    <label class="check search-within">
      <input
        type="checkbox"
        checked={search.within.value !== null}
        onChange={(event) => search.searchWithin(event.currentTarget.checked ? (open ?? null) : null)}
      />
      Only in the open conversation
    </label>
  );
}

function Group({ app, group }: { app: App; group: FoundGroup }) {
  return (
    <section class="search-group" aria-label={group.title}>
      <h3 class="search-title" title={group.title}>
        {group.title}
        {group.isArchived && <span class="search-facts"> · Archived</span>}
      </h3>
      <ul>
        {group.messages.map((message) => (
          <li key={message.message_id}>
            <button
              type="button"
              class="search-result"
              data-testid="search-result"
              aria-current={app.conversation.value.found.value?.id === message.root_id ? "true" : undefined}
              onClick={() => void app.openFound(message)}
            >
              <span class="search-facts">{factsOf(message)}</span>
              <span class="search-snippet">
                <Pieces pieces={message.snippet} />
              </span>
            </button>
          </li>
        ))}
      </ul>
    </section>
  );
}

function Rest({ search }: { search: Search }) {
  const page = search.page.value;
  if (!page) return null;
  const isNothing = search.titles.value.length === 0 && search.messages.value.length === 0;
  if (page.searched_back_to_ms !== null) {
    return (
      <div class="search-rest">
        <p class="muted">Searched back to {formatDay(page.searched_back_to_ms)}.</p>
        <button type="button" class="button" onClick={() => void search.more()}>
          Search further back
        </button>
      </div>
    );
  }
  return isNothing && !search.isSearching.value ? (
    <p class="muted conversations-empty">Nothing was found.</p>
  ) : null;
}

function Pieces({ pieces }: { pieces: Piece[] }) {
  return <>{pieces.map(({ text, is_hit }, at) => (is_hit ? <mark key={at}>{text}</mark> : text))}</>;
}

/** "You · 3 May 2026", and that it is in a version which is not shown. */
function factsOf({ role, agent, created_ms, is_shown }: FoundMessage): string {
  const who = role === "user" ? "You" : (agent ?? "Assistant");
  return [who, formatDay(created_ms), ...(is_shown ? [] : ["other version"])].join(" · ");
}
