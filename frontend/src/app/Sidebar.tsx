import type { Signal } from "@preact/signals";
import { Activity, ChevronLeft, MessageCircle, Settings, SquarePen } from "lucide-preact";
import { ConversationListView } from "../conversations/ConversationListView";
import { SettingsNavigation } from "../settings/SettingsNavigation";
import type { App } from "./app";
import { SHORTCUTS } from "./keyboard";

export function Sidebar({ app, isOpen }: { app: App; isOpen: Signal<boolean> }) {
  const { view } = app.place.value;
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
        {view === "chat" && (
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
      </div>
      {view === "settings" ? <SettingsNavigation app={app} /> : <ConversationListView app={app} />}
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
