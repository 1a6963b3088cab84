import type { Signal } from "@preact/signals";
import { Activity, ChevronLeft, MessageCircle, Settings, SquarePen } from "lucide-preact";
import type { RefObject } from "preact";
import { useRef } from "preact/hooks";
import { ConversationListView } from "../conversations/ConversationListView";
import { SearchField } from "../search/SearchField";
import { SearchResults } from "../search/SearchResults";
import { SettingsNavigation } from "../settings/SettingsNavigation";
import type { App } from "./app";
import { SHORTCUTS } from "./keyboard";

interface Props {
  app: App;
  isOpen: Signal<boolean>;
  searchField: RefObject<HTMLInputElement | null>;
}

export function Sidebar({ app, isOpen, searchField }: Props) {
  const { view } = app.place.value;
  const results = useRef<HTMLElement>(null);
  const firstResult = () => results.current?.querySelector<HTMLElement>(".search-result");
  return (
    <aside id="sidebar" class="sidebar" aria-label="Sidebar" hidden={!isOpen.value}>
      <div class="sidebar-top">
        <button type="button" class="sidebar-item" data-testid="chat-button" onClick={app.openChat}>
          {view === "settings" ? (
            <>
              <ChevronLeft size={18} strokeWidth={1.75} aria-hidden="true" />
              Back to chat
            </>
          ) : (
            <>
              <MessageCircle class="brand" size={18} strokeWidth={2} aria-hidden="true" />
              <strong>Deskside</strong>
              <span class="visually-hidden">: open the chat</span>
            </>
          )}
        </button>
        {view !== "settings" && (
          <button
            type="button"
            class="sidebar-item new-chat"
            data-testid="new-chat"
            title={`${SHORTCUTS.newChat.label} (${SHORTCUTS.newChat.keys})`}
            onClick={app.newChat}
          >
            <SquarePen size={18} strokeWidth={1.75} aria-hidden="true" />
            New chat
          </button>
        )}
        {view !== "settings" && (
          <SearchField
            search={app.search}
            field={searchField}
            onDown={() => firstResult()?.focus()}
            onEnter={() => firstResult()?.click()}
          />
        )}
      </div>
      {view === "settings" ? (
        <SettingsNavigation app={app} />
      ) : app.search.isActive.value ? (
        <SearchResults app={app} results={results} onLeave={() => searchField.current?.focus()} />
      ) : (
        <ConversationListView app={app} />
      )}
      <div class="sidebar-bottom">
        <button
          type="button"
          class="sidebar-item"
          data-testid="settings-button"
          title={`${SHORTCUTS.settings.label} (${SHORTCUTS.settings.keys})`}
          onClick={() => app.openSettings()}
        >
          <Settings size={18} strokeWidth={1.75} aria-hidden="true" />
          Settings
        </button>
        <button
          type="button"
          class="icon-button"
          data-testid="diagnostics-button"
          aria-label="Diagnostics"
          title="Diagnostics"
          onClick={() => app.openSettings("diagnostics")}
        >
          <Activity size={18} strokeWidth={1.75} aria-hidden="true" />
        </button>
      </div>
    </aside>
  );
}
