import { useSignal } from "@preact/signals";
import { useRef } from "preact/hooks";
import { AgentIcon } from "../agents/AgentIcon";
import { ImportDialog } from "../agents/ImportDialog";
import type { ImportAgentInput, ProposedAgent } from "../api.gen";
import type { App } from "../app/app";
import { useArmed } from "../chat/armed";
import { GuardedButton } from "../chat/GuardedButton";
import { showInvisible } from "../chat/invisible";
import { Dialog } from "../ui/Dialog";
import { Problem } from "../ui/Problem";
import { useAction } from "../ui/useAction";

/** An agent that a link or a file brought: all of it, before it is imported. */
export function ProposedAgentDialog({ app, proposed }: { app: App; proposed: ProposedAgent }) {
  const { agent, notes, origin } = proposed;
  const buttons = useRef<HTMLDivElement>(null);
  const isArmed = useArmed(buttons);
  const { isBusy, problem, run } = useAction();
  /** Its name is taken, so the user is asked for another. */
  const isTaken = useSignal(false);
  const close = () => void app.proposals.putAway(proposed.id);

  // The dialog says that it was closed also where the other one takes its place.
  const closeUnlessTaken = () => {
    if (!isTaken.value) close();
  };

  const importAgent = async (choice: ImportAgentInput) => {
    const imported = await app.api.agents.import_(choice);
    app.toasts.show({
      level: imported.notes.length > 0 ? "warning" : "info",
      message: `“${imported.agent.label}” was imported.`,
      hint: imported.notes.join(" "),
      action: { label: "Open agents", run: () => app.openSettings("agents") },
    });
  };
  const accept = async () => {
    if (proposed.free_name !== agent.name) isTaken.value = true;
    else if (await run(() => importAgent({ json: proposed.json }))) close();
  };

  if (isTaken.value) {
    const found = { json: proposed.json, name: agent.name, free_name: proposed.free_name };
    return <ImportDialog found={found} onImport={importAgent} onClose={close} />;
  }
  return (
    <Dialog title="Import this agent?" class="proposed-dialog" onClose={closeUnlessTaken}>
      <div class="dialog-body" data-testid="proposed-agent">
        <p class="proposed-name">
          <AgentIcon icon={agent.icon} size={20} />
          <strong>{showInvisible(agent.label || agent.name)}</strong>
          <code>{agent.name}</code>
        </p>
        <p class="muted">
          {origin === "link" ? "A link brought this agent." : "This agent is in the file that you opened."} It
          does nothing before you import it and choose it in a chat. Read its instructions first: a model
          follows them.
        </p>
        {notes.map((note) => (
          <p key={note} class="proposed-note">
            {note}
          </p>
        ))}
        <ReadOnly label="Instructions" text={agent.instructions || "No instructions."} />
        <dl class="proposed-facts">
          <dt>Model</dt>
          <dd>
            {agent.model === null
              ? "the chat’s model"
              : [agent.model, ...agent.fallback_models].join(", then ")}
          </dd>
          <dt>Tools</dt>
          <dd>{listed(agent.tools, "every tool that is switched on", "none")}</dd>
          {agent.subagents.length > 0 && (
            <>
              <dt>May give work to</dt>
              <dd>{agent.subagents.join(", ")}</dd>
            </>
          )}
        </dl>
        <details>
          <summary>The whole file</summary>
          <ReadOnly label="The whole file" text={proposed.json} />
        </details>
        {problem.value && (
          <Problem
            message={problem.value.message}
            hint={problem.value.hint}
            requestId={problem.value.requestId}
          />
        )}
        <div ref={buttons} class="actions">
          <GuardedButton class="primary" isOff={!isArmed.value || isBusy.value} onPress={() => void accept()}>
            Import
          </GuardedButton>
          <button type="button" class="button quiet" onClick={close}>
            Cancel
          </button>
        </div>
      </div>
    </Dialog>
  );
}

const listed = (names: string[] | null, all: string, none: string): string =>
  names === null ? all : names.join(", ") || none;

/** A text to read and scroll in, also with the keyboard. */
function ReadOnly({ label, text }: { label: string; text: string }) {
  return (
    <textarea class="field proposed-text" aria-label={label} readOnly rows={6} value={showInvisible(text)} />
  );
}
