import { ExternalLink } from "lucide-preact";
import type { NewerRelease } from "../api.gen";
import type { App } from "../app/app";
import { Markdown } from "../markdown/Markdown";
import { Dialog } from "../ui/Dialog";
import { formatDay } from "../ui/format";
import { Problem } from "../ui/Problem";
import { useAction } from "../ui/useAction";

interface Props {
  app: App;
  release: NewerRelease;
  onClose(): void;
}

/** What a newer Deskside brings, and where to get it. */
export function UpdateDialog({ app, release, onClose }: Props) {
  const action = useAction();
  const { version, download } = release;
  const skip = async () => {
    if (await action.run(() => app.updates.skip(version))) onClose();
  };
  const later = () => {
    app.updates.later();
    onClose();
  };
  const problem = action.problem.value;
  return (
    <Dialog title={`Deskside ${version}`} class="update-dialog" onClose={onClose}>
      <div class="dialog-body" data-testid="update-dialog">
        <p class="muted">
          Released {formatDay(Date.parse(`${release.date}T12:00`))}. You have{" "}
          {app.updates.state.value?.version}.
        </p>
        {/* biome-ignore lint/a11y/noNoninteractiveTabindex: it scrolls, also with the keyboard. */}
        <section class="release-notes" aria-label="What is new" tabIndex={0}>
          <Markdown text={release.notes} onOpenLink={app.openLink} />
        </section>
        <p class="muted">
          Deskside does not install it by itself. Your data is backed up before a newer version changes it.
        </p>
        {problem && <Problem message={problem.message} hint={problem.hint} requestId={problem.requestId} />}
        <div class="actions">
          {download !== null && (
            <button
              type="button"
              class="button primary"
              onClick={() => {
                app.openLink(download);
                later();
              }}
            >
              Get it
              <ExternalLink size={14} aria-hidden="true" />
            </button>
          )}
          <button type="button" class="button" onClick={later}>
            Later
          </button>
          {!release.is_skipped && (
            <button
              type="button"
              class="button quiet"
              disabled={action.isBusy.value}
              onClick={() => void skip()}
            >
              Skip this version
            </button>
          )}
        </div>
      </div>
    </Dialog>
  );
}
