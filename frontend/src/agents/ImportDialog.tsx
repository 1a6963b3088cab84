import { useSignal } from "@preact/signals";
import { useEffect, useId, useRef } from "preact/hooks";
import type { AgentToImport, ImportAgentInput } from "../api.gen";
import { Dialog } from "../ui/Dialog";
import { Problem } from "../ui/Problem";
import { useAction } from "../ui/useAction";
import { LONGEST_NAME, NAME, NAME_RULE } from "./draft";

interface Props {
  found: AgentToImport;
  onImport(choice: ImportAgentInput): Promise<void>;
  onClose(): void;
}

/** The name of an agent in a file is taken: it gets another one, takes the place of the one here, or stays out. */
export function ImportDialog({ found, onImport, onClose }: Props) {
  const id = useId();
  const field = useRef<HTMLInputElement>(null);
  const name = useSignal(found.free_name);
  const fault = useSignal("");
  const { isBusy, problem, run } = useAction();
  const isTaken = problem.value?.code === "conflict";
  useEffect(() => field.current?.select(), []);

  const send = async (choice: Omit<ImportAgentInput, "json">) => {
    if (await run(() => onImport({ json: found.json, ...choice }))) onClose();
  };
  const add = (event: Event) => {
    event.preventDefault();
    fault.value = NAME.test(name.value) ? "" : NAME_RULE;
    if (fault.value) field.current?.focus();
    else void send({ name: name.value, on_conflict: "refuse" });
  };

  return (
    <Dialog title="This name is taken" onClose={onClose}>
      <form class="dialog-body" onSubmit={add}>
        <p>
          There is already an agent named <code>{found.name}</code>. Give the one in the file another name, or
          put it in the place of the one here.
        </p>
        <div class="stacked-control">
          <label for={id}>Name of the imported agent</label>
          <input
            ref={field}
            id={id}
            class="field mono"
            aria-describedby={`${id}-problem`}
            aria-invalid={fault.value !== "" || isTaken}
            autocomplete="off"
            spellcheck={false}
            maxLength={LONGEST_NAME}
            value={name.value}
            onInput={(event) => {
              name.value = event.currentTarget.value;
              fault.value = "";
              problem.value = null;
            }}
          />
          <p id={`${id}-problem`} class="field-problem" role="status">
            {isTaken ? problem.value?.message : fault.value}
          </p>
        </div>
        {problem.value && !isTaken && (
          <Problem
            message={problem.value.message}
            hint={problem.value.hint}
            requestId={problem.value.requestId}
          />
        )}
        <div class="actions">
          <button type="submit" class="button primary" disabled={isBusy.value}>
            Import
          </button>
          <button
            type="button"
            class="button danger"
            disabled={isBusy.value}
            onClick={() => void send({ on_conflict: "replace" })}
          >
            Replace <code>{found.name}</code>
          </button>
          <button type="button" class="button quiet" onClick={onClose}>
            Cancel
          </button>
        </div>
      </form>
    </Dialog>
  );
}
