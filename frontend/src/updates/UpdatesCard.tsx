import { RefreshCw } from "lucide-preact";
import type { UpdateState } from "../api.gen";
import type { App } from "../app/app";
import { Row } from "../settings/Row";
import { formatAgo } from "../ui/format";
import { Problem } from "../ui/Problem";
import { Switch } from "../ui/Switch";
import { useAction } from "../ui/useAction";

/** Whether Deskside looks for newer versions, what it knows, and looking now. */
export function UpdatesCard({ app }: { app: App }) {
  const { updates } = app;
  const action = useAction();
  const known = updates.state.value;
  if (!known) return null;
  if (known.why_not) {
    return (
      <section class="card" aria-label="Updates">
        <h2>Updates</h2>
        <p class="muted">{known.why_not}</p>
      </section>
    );
  }
  const problem = action.problem.value;
  const isBusy = action.isBusy.value;
  return (
    <section class="card" aria-label="Updates">
      <h2>Updates</h2>
      <Row
        label="Look for newer versions each day"
        hint="Nothing about you is sent, and nothing is installed."
      >
        {() => (
          <Switch
            label="Look for newer versions each day"
            isOn={app.settings.value?.looks_for_updates ?? true}
            onChange={(isOn) => void app.changeSettings({ looks_for_updates: isOn })}
          />
        )}
      </Row>
      <Known known={known} isProblemShown={problem !== null} />
      {problem && <Problem message={problem.message} hint={problem.hint} requestId={problem.requestId} />}
      <div class="actions">
        {known.newer && (
          <button type="button" class="button primary" onClick={() => (updates.isOpen.value = true)}>
            What is new
          </button>
        )}
        <button type="button" class="button" disabled={isBusy} onClick={() => void action.run(updates.look)}>
          <RefreshCw size={14} aria-hidden="true" />
          {isBusy ? "Looking…" : "Look now"}
        </button>
        {known.newer?.is_skipped && (
          <button
            type="button"
            class="button quiet"
            disabled={isBusy}
            onClick={() => void action.run(() => updates.skip(null))}
          >
            Do not skip it
          </button>
        )}
      </div>
    </section>
  );
}

function Known({ known, isProblemShown }: { known: UpdateState; isProblemShown: boolean }) {
  const { newer, looked_ms } = known;
  return (
    <p role="status" data-testid="update-state">
      {newer && <strong>Deskside {newer.version} is available. </strong>}
      {!known.is_supported && "The one you use gets no fixes any more. "}
      <span class="muted">
        {newer?.is_skipped && "You chose to skip it. "}
        {looked_ms === null
          ? "Deskside has not looked yet."
          : `${newer ? "" : "This is the newest version. "}Looked ${formatAgo(looked_ms, Date.now())}.`}
        {known.problem && !isProblemShown && ` The last look failed. ${known.problem}`}
      </span>
    </p>
  );
}
