import type { App } from "../app/app";

/** Says on every page that nothing leaves this computer, and how to end that. */
export function OfflineBar({ app }: { app: App }) {
  return (
    <div class="connection" role="status">
      {app.settings.value?.is_offline && (
        <p class="offline-bar" data-testid="offline-bar">
          You are offline: nothing leaves this computer.
          <button
            type="button"
            class="link"
            data-testid="go-online"
            onClick={() => void app.setOffline(false)}
          >
            Go online
          </button>
        </p>
      )}
    </div>
  );
}
