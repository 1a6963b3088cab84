import { useSignal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import type { AgentRow } from "../api.gen";
import type { App } from "../app/app";
import { Problem } from "../ui/Problem";
import { useAction } from "../ui/useAction";
import { AbilitiesCard } from "./AbilitiesCard";
import { AgentLimitsCard } from "./AgentLimitsCard";
import { AllowedCard } from "./AllowedCard";
import { AnswerCard } from "./AnswerCard";
import { DEFAULT_AGENT } from "./choices";
import { type AgentDraft, draftOf, nameFrom, type Problems, readDraft } from "./draft";
import { ModelsCard } from "./ModelsCard";
import { WhoCard } from "./WhoCard";

interface Props {
  app: App;
  /** The agent to change; null for a new one. */
  row: AgentRow | null;
  onClose(): void;
}

/** What every part of the form gets. */
export interface PartProps {
  app: App;
  draft: AgentDraft;
  problems: Problems;
  onChange(changes: Partial<AgentDraft>): void;
}

export function AgentForm({ app, row, onClose }: Props) {
  const draft = useSignal<AgentDraft>(draftOf(row));
  const problems = useSignal<Problems>({});
  const saving = useAction();
  const form = useRef<HTMLFormElement>(null);
  // A new agent is named after its label until the user types a name.
  const hasOwnName = useSignal(row !== null);
  useEffect(() => form.current?.querySelector<HTMLInputElement>("[data-first]")?.focus(), []);

  const change = (changes: Partial<AgentDraft>) => {
    if (changes.name !== undefined) hasOwnName.value = true;
    else if (changes.label !== undefined && !hasOwnName.value) {
      changes = { ...changes, name: nameFrom(changes.label) };
    }
    draft.value = { ...draft.value, ...changes };
    if (Object.keys(problems.value).length > 0) problems.value = readDraft(draft.value).problems ?? {};
  };
  const save = async (event: Event) => {
    event.preventDefault();
    const read = readDraft(draft.value);
    problems.value = read.problems ?? {};
    const { agent } = read;
    if (agent === null) {
      requestAnimationFrame(() => form.current?.querySelector<HTMLElement>("[aria-invalid=true]")?.focus());
      return;
    }
    const isSaved = await saving.run(() =>
      row === null ? app.api.agents.create(agent) : app.api.agents.change({ id: row.id, ...agent }),
    );
    if (isSaved) onClose();
  };

  const part = { app, draft: draft.value, problems: problems.value, onChange: change };
  return (
    <form
      ref={form}
      class="agent-form"
      aria-label={row ? `Edit ${row.label}` : "New agent"}
      onSubmit={(event) => void save(event)}
    >
      <h2 class="agent-form-title">{row ? `Edit “${row.label}”` : "New agent"}</h2>
      <WhoCard {...part} isNameFixed={row?.name === DEFAULT_AGENT} />
      <ModelsCard {...part} />
      <AnswerCard {...part} />
      <AbilitiesCard {...part} own={row?.name ?? ""} />
      {row && <AllowedCard app={app} agentId={row.id} />}
      <AgentLimitsCard {...part} />
      {saving.problem.value && (
        <Problem
          message={saving.problem.value.message}
          hint={saving.problem.value.hint}
          requestId={saving.problem.value.requestId}
        />
      )}
      <footer class="agent-form-end">
        <p class="field-problem" role="status">
          {Object.keys(problems.value).length > 0 && "Some fields cannot be read. They say why."}
        </p>
        <button type="button" class="button quiet" onClick={onClose}>
          Cancel
        </button>
        <button type="submit" class="button primary" disabled={saving.isBusy.value}>
          {row ? "Save" : "Add agent"}
        </button>
      </footer>
    </form>
  );
}
