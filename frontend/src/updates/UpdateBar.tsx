import { X } from "lucide-preact";
import type { App } from "../app/app";
import { IconButton } from "../ui/IconButton";
import { UpdateDialog } from "./UpdateDialog";

/** Says that there is a newer Deskside, until the user has decided what to do about it. */
export function UpdateBar({ app }: { app: App }) {
  const { updates } = app;
  const news = app.settings.value?.looks_for_updates ? updates.news.value : null;
  return (
    <>
      <div class="connection" role="status">
        {news && (
          <div class="update-bar" data-testid="update-bar">
            <p>
              Deskside {news.version} is available.
              {updates.state.value?.is_supported === false && " The one you use gets no fixes any more."}
            </p>
            <button type="button" class="link" onClick={() => (updates.isOpen.value = true)}>
              What is new
            </button>
            <IconButton icon={X} label="Tell me later" onClick={updates.later} />
          </div>
        )}
      </div>
      {updates.isOpen.value && updates.newer.value && (
        <UpdateDialog
          app={app}
          release={updates.newer.value}
          onClose={() => (updates.isOpen.value = false)}
        />
      )}
    </>
  );
}
