import { useSignal } from "@preact/signals";
import { useEffect, useId } from "preact/hooks";
import type { RunStory } from "../api.gen";
import type { App } from "../app/app";
import { ModelPicker } from "../models/ModelPicker";
import { Dialog } from "../ui/Dialog";
import { Problem } from "../ui/Problem";
import { useAction } from "../ui/useAction";

interface Props {
  app: App;
  told: RunStory;
  step: number;
  /** The call whose result may be another one. */
  tool: { callId: string; result: string } | null;
  onClose(): void;
}

/** Goes on from a step in a new conversation: with another model, agent or result of a tool. */
export function ForkDialog({ app, told, step, tool, onClose }: Props) {
  const model = useSignal(told.story.model);
  const isPicking = useSignal(false);
  const agent = useSignal("");
  const result = useSignal(tool?.result ?? "");
  const { isBusy, problem, run } = useAction();
  const agentId = useId();
  const resultId = useId();
  useEffect(() => void app.agents.load(), []);
  const begin = () =>
    run(async () => {
      const started = await app.api.recordings.fork({
        message_id: told.story.message_id,
        step,
        model: model.value,
        agent: agent.value || null,
        results: tool && result.value !== tool.result ? [{ call_id: tool.callId, output: result.value }] : [],
      });
      onClose();
      await app.openConversationById(started.conversation.id);
    });
  return (
    <Dialog title="Go on from here" class="fork-dialog" onClose={onClose}>
      <form
        class="dialog-body"
        onSubmit={(event) => {
          event.preventDefault();
          void begin();
        }}
      >
        <p class="muted">
          A new conversation begins with everything up to this step, and the answer goes on from it. This one
          stays as it is.
        </p>
        <div class="fork-field">
          <span>Model</span>
          <ModelPicker
            app={app}
            model={model.value}
            isOpen={isPicking}
            onChoose={(name) => {
              model.value = name;
              isPicking.value = false;
            }}
          />
        </div>
        <div class="fork-field">
          <label for={agentId}>Agent</label>
          <select
            id={agentId}
            class="field"
            value={agent.value}
            onChange={(event) => (agent.value = event.currentTarget.value)}
          >
            <option value="">The same</option>
            {app.agents.rows.value.map((row) => (
              <option key={row.name} value={row.name}>
                {row.label || row.name}
              </option>
            ))}
          </select>
        </div>
        {tool && (
          <div class="fork-result">
            <label for={resultId}>What the tool gave</label>
            <textarea
              id={resultId}
              class="field area"
              rows={6}
              value={result.value}
              onInput={(event) => (result.value = event.currentTarget.value)}
            />
          </div>
        )}
        {problem.value && <Problem message={problem.value.message} hint={problem.value.hint} />}
        <div class="actions">
          <button type="submit" class="button primary" disabled={isBusy.value}>
            Start
          </button>
          <button type="button" class="button" onClick={onClose}>
            Cancel
          </button>
        </div>
      </form>
    </Dialog>
  );
}
