import { useSignal } from "@preact/signals";
import { Pencil, Trash2 } from "lucide-preact";
import { useEffect, useId, useRef } from "preact/hooks";
import type { MemoryRow } from "../api.gen";
import type { App } from "../app/app";
import { formatMoment } from "../ui/format";
import { IconButton } from "../ui/IconButton";
import { Problem } from "../ui/Problem";
import { useAction } from "../ui/useAction";
import { LONGEST_MEMORY } from "./memories";

/** One memory: read, changed in place, or deleted after a second press. */
export function MemoryItem({ app, memory }: { app: App; memory: MemoryRow }) {
  const mode = useSignal<"shown" | "edited" | "asked">("shown");
  const action = useAction();
  const edit = useRef<HTMLButtonElement>(null);
  const show = () => {
    mode.value = "shown";
    requestAnimationFrame(() => edit.current?.focus());
  };
  const save = async (text: string) => {
    if (text === memory.text || (await action.run(() => app.memories.change(memory.id, text)))) show();
  };
  const forget = () => action.run(() => app.memories.forget(memory.id));
  const problem = action.problem.value;

  return (
    <li class="list-row list-row-tall">
      {mode.value === "edited" ? (
        <MemoryForm text={memory.text} isBusy={action.isBusy.value} onSave={save} onCancel={show} />
      ) : (
        <>
          <div class="list-text wraps">
            <p>{memory.text}</p>
            <MemoryOrigin app={app} memory={memory} />
          </div>
          {mode.value === "asked" ? (
            <DeleteQuestion isBusy={action.isBusy.value} onDelete={() => void forget()} onKeep={show} />
          ) : (
            <>
              <IconButton
                buttonRef={edit}
                icon={Pencil}
                label="Change this memory"
                onClick={() => {
                  mode.value = "edited";
                }}
              />
              <IconButton
                icon={Trash2}
                label="Delete this memory"
                onClick={() => {
                  mode.value = "asked";
                }}
              />
            </>
          )}
        </>
      )}
      {problem && <Problem message={problem.message} hint={problem.hint} requestId={problem.requestId} />}
    </li>
  );
}

function MemoryOrigin({ app, memory }: { app: App; memory: MemoryRow }) {
  const { conversation_id: id, conversation_title: title } = memory;
  return (
    <p class="muted list-facts">
      <span>{formatMoment(memory.updated_ms)}</span>
      {id === null ? (
        <span>from a chat that was deleted</span>
      ) : (
        <span>
          from{" "}
          <button type="button" class="link" onClick={() => void app.openConversationById(id)}>
            {title}
          </button>
        </span>
      )}
      {memory.is_tainted && (
        <span
          class="tag"
          title="A file, a web page or a tool of somebody else was read before this was written."
        >
          written after reading text from outside
        </span>
      )}
    </p>
  );
}

function DeleteQuestion(props: { isBusy: boolean; onDelete(): void; onKeep(): void }) {
  const keep = useRef<HTMLButtonElement>(null);
  useEffect(() => keep.current?.focus(), []);
  return (
    // biome-ignore lint/a11y/useSemanticElements: a fieldset is for form fields.
    <div class="actions" role="group" aria-label="Delete this memory for good?">
      <button type="button" class="button danger" disabled={props.isBusy} onClick={props.onDelete}>
        Delete for good
      </button>
      <button ref={keep} type="button" class="button quiet" onClick={props.onKeep}>
        Keep
      </button>
    </div>
  );
}

interface FormProps {
  text: string;
  isBusy: boolean;
  onSave(text: string): Promise<void>;
  onCancel(): void;
}

function MemoryForm({ text, isBusy, onSave, onCancel }: FormProps) {
  const typed = useSignal(text);
  const field = useRef<HTMLTextAreaElement>(null);
  const id = useId();
  useEffect(() => field.current?.focus(), []);
  const save = (event: Event) => {
    event.preventDefault();
    void onSave(typed.value.trim());
  };
  return (
    <form class="memory-form" onSubmit={save}>
      <label for={id} class="visually-hidden">
        Memory
      </label>
      <textarea
        ref={field}
        id={id}
        class="field"
        rows={3}
        maxLength={LONGEST_MEMORY}
        value={typed.value}
        onInput={(event) => {
          typed.value = event.currentTarget.value;
        }}
        onKeyDown={(event) => {
          if (event.key === "Escape") onCancel();
        }}
      />
      <div class="actions">
        <button type="submit" class="button primary" disabled={isBusy || typed.value.trim() === ""}>
          Save
        </button>
        <button type="button" class="button quiet" onClick={onCancel}>
          Cancel
        </button>
      </div>
    </form>
  );
}
