import { type ReadonlySignal, useSignal, useSignalEffect } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { Chat } from "../chat/Chat";
import { OfflineBar } from "../network/OfflineBar";
import { ProposedAgentDialog } from "../proposals/ProposedAgentDialog";
import { TroubleBar } from "../rescue/TroubleBar";
import { ComparePage } from "../runs/ComparePage";
import { RunPage } from "../runs/RunPage";
import { SettingsPage } from "../settings/SettingsPage";
import { Start } from "../start/Start";
import { TransferDialogs } from "../transfers/TransferDialogs";
import { ErrorBoundary } from "../ui/ErrorBoundary";
import { ToastList } from "../ui/ToastList";
import { UpdateBar } from "../updates/UpdateBar";
import type { App } from "./app";
import { CannotStart } from "./CannotStart";
import { ConnectionBar } from "./ConnectionBar";
import { useReport } from "./context";
import { shortcutOf } from "./keyboard";
import { ShortcutsDialog } from "./ShortcutsDialog";
import { Sidebar } from "./Sidebar";

/** Below this the sidebar covers the chat instead of standing beside it. */
const NARROW = "(max-width: 720px)";

const WHERE = { chat: "The chat", settings: "The settings", run: "The run", compare: "The comparison" };

interface Props {
  app: App;
  isConnected: ReadonlySignal<boolean>;
}

export function AppView({ app, isConnected }: Props) {
  const report = useReport();
  const isNarrow = useSignal(matchMedia(NARROW).matches);
  const isSidebarOpen = useSignal(!isNarrow.value);
  const isPickerOpen = useSignal(false);
  const isHelpOpen = useSignal(false);
  const main = useRef<HTMLElement>(null);
  const searchField = useRef<HTMLInputElement>(null);

  useEffect(() => {
    const media = matchMedia(NARROW);
    const follow = () => {
      isNarrow.value = media.matches;
      isSidebarOpen.value = !media.matches;
    };
    media.addEventListener("change", follow);
    return () => media.removeEventListener("change", follow);
  }, []);

  // Going somewhere uncovers it.
  useSignalEffect(() => {
    void app.place.value;
    if (isNarrow.peek()) isSidebarOpen.value = false;
  });

  // What had the focus may be gone with the page or the toast it was on.
  useSignalEffect(() => {
    void app.place.value;
    void app.toasts.shown.value;
    const frame = requestAnimationFrame(() => {
      if (document.activeElement === document.body) main.current?.focus();
    });
    return () => cancelAnimationFrame(frame);
  });

  useEffect(() => {
    const actions = {
      newChat: app.newChat,
      search: () => {
        if (app.place.value.view !== "chat") app.openChat();
        isSidebarOpen.value = true;
        requestAnimationFrame(() => searchField.current?.select());
      },
      settings: () => app.openSettings(),
      sidebar: () => {
        isSidebarOpen.value = !isSidebarOpen.value;
      },
      help: () => {
        isHelpOpen.value = true;
      },
      zoomIn: () => app.zoom(1),
      zoomOut: () => app.zoom(-1),
      zoomReset: () => app.zoom(0),
      chooseModel: () => {
        if (app.place.value.view !== "chat") app.openChat();
        isPickerOpen.value = true;
      },
    };
    const onKeyDown = (event: KeyboardEvent) => {
      const name = shortcutOf(event);
      if (name) {
        event.preventDefault();
        actions[name]();
      } else if (event.key === "Escape" && !event.defaultPrevented && !event.isComposing) {
        if (app.place.value.view === "chat" && !isHelpOpen.value) void app.conversation.value.stop();
      }
    };
    window.addEventListener("keydown", onKeyDown);
    const ignoreMenu = app.menuChoice.subscribe((chosen) => {
      if (!chosen) return;
      app.menuChoice.value = null; // done once, also where this view is made anew
      actions[chosen.choice]();
    });
    return () => {
      window.removeEventListener("keydown", onKeyDown);
      ignoreMenu();
    };
  }, [app]);

  if (app.startProblem.value && !app.state.value) {
    return <CannotStart problem={app.startProblem.value} onRetry={() => void app.start()} />;
  }
  if (!app.state.value) return <ConnectionBar isConnected={isConnected} />;

  const place = app.place.value;
  const { view } = place;
  const proposed = app.proposals.agent.value;
  const sidebar = { isOpen: isSidebarOpen, isNarrow: isNarrow.value };
  return (
    <div class="window" data-sidebar={isSidebarOpen.value ? "open" : "closed"}>
      <ErrorBoundary where="The sidebar" report={report}>
        <Sidebar app={app} isOpen={isSidebarOpen} searchField={searchField} />
      </ErrorBoundary>
      {isNarrow.value && isSidebarOpen.value && (
        <div class="scrim" onPointerDown={() => (isSidebarOpen.value = false)} />
      )}
      <main ref={main} class="main" tabIndex={-1}>
        <ConnectionBar isConnected={isConnected} />
        <TroubleBar app={app} />
        <OfflineBar app={app} />
        <UpdateBar app={app} />
        <ErrorBoundary key={view} where={WHERE[view]} report={report}>
          {view === "settings" ? (
            <SettingsPage app={app} sidebar={sidebar} />
          ) : place.view === "run" ? (
            <RunPage key={place.runId} app={app} runId={place.runId} sidebar={sidebar} />
          ) : place.view === "compare" ? (
            <ComparePage
              key={`${place.leftRun} ${place.rightRun}`}
              app={app}
              leftRun={place.leftRun}
              rightRun={place.rightRun}
              sidebar={sidebar}
            />
          ) : app.isStarting.value ? (
            <Start app={app} sidebar={sidebar} />
          ) : (
            <Chat key={app.opened.value} app={app} sidebar={sidebar} isPickerOpen={isPickerOpen} />
          )}
        </ErrorBoundary>
      </main>
      <TransferDialogs app={app} />
      {proposed && <ProposedAgentDialog key={proposed.id} app={app} proposed={proposed} />}
      <ToastList toasts={app.toasts} />
      {isHelpOpen.value && <ShortcutsDialog onClose={() => (isHelpOpen.value = false)} />}
    </div>
  );
}
