import { type Signal, useSignal } from "@preact/signals";
import { Check, ChevronDown, RefreshCw } from "lucide-preact";
import { useCallback, useEffect, useId, useRef } from "preact/hooks";
import type { ProviderModels } from "../api.gen";
import type { App } from "../app/app";
import { SHORTCUTS } from "../app/keyboard";
import { formatShort } from "../ui/format";
import { IconButton } from "../ui/IconButton";
import { Popover } from "../ui/Popover";
import { choicesFor, isSmall } from "./models";

interface Props {
  app: App;
  model: string | null;
  isOpen: Signal<boolean>;
  /** What the button says without a model. */
  placeholder?: string;
  onChoose(model: string): void;
}

/** The button that names the model, and the list behind it. */
export function ModelPicker({ app, model, isOpen, placeholder = "Choose a model", onChoose }: Props) {
  const button = useRef<HTMLButtonElement>(null);
  const close = useCallback(() => {
    isOpen.value = false;
  }, [isOpen]);
  const label = model ? app.models.labelOf(model) : placeholder;
  return (
    <>
      <button
        ref={button}
        type="button"
        class="picker-button"
        data-testid="model-picker"
        aria-haspopup="dialog"
        aria-expanded={isOpen.value}
        aria-label={model ? `Model: ${label}` : label}
        title={`${model ?? label} (${SHORTCUTS.chooseModel.keys})`}
        onClick={() => {
          isOpen.value = !isOpen.value;
        }}
      >
        <span class="picker-name">{label}</span>
        {model && isSmall(model) && <span class="tag">small</span>}
        <ChevronDown size={14} aria-hidden="true" />
      </button>
      {isOpen.value && (
        <Popover
          anchor={button}
          placement="top-start"
          role="dialog"
          label="Choose a model"
          class="picker"
          onClose={close}
        >
          <ModelList
            app={app}
            model={model}
            onClose={close}
            onChoose={(chosen) => {
              close();
              if (chosen !== model) onChoose(chosen);
            }}
          />
        </Popover>
      )}
    </>
  );
}

interface ModelListProps {
  app: App;
  model: string | null;
  onClose(): void;
  onChoose(model: string): void;
}

function ModelList({ app, model, onClose, onChoose }: ModelListProps) {
  const { models, state } = app;
  const search = useSignal("");
  const active = useSignal(model);
  const field = useRef<HTMLInputElement>(null);
  const listId = useId();
  useEffect(() => {
    field.current?.focus();
    if (models.providers.value === null) void models.load();
  }, []);

  const { groups, typed } = choicesFor(models.providers.value ?? [], search.value);
  const ids = [...groups.flatMap((group) => group.models.map(({ id }) => id)), ...(typed ? [typed] : [])];
  const activeId = active.value !== null && ids.includes(active.value) ? active.value : (ids[0] ?? null);
  const optionId = (id: string) => `${listId}-${ids.indexOf(id)}`;

  useEffect(() => {
    if (activeId) document.getElementById(optionId(activeId))?.scrollIntoView({ block: "nearest" });
  }, [activeId]);

  const onKeyDown = (event: KeyboardEvent) => {
    if (event.isComposing) return;
    const at = activeId === null ? -1 : ids.indexOf(activeId);
    const next = { ArrowDown: at + 1, ArrowUp: at - 1, PageDown: at + 8, PageUp: at - 8 }[event.key];
    if (event.key === "Enter" && activeId) onChoose(activeId);
    else if (next !== undefined) active.value = ids[Math.max(0, Math.min(next, ids.length - 1))] ?? null;
    else return;
    event.preventDefault();
  };

  const option = (id: string, label: string, note: string) => (
    // biome-ignore lint/a11y/useKeyWithClickEvents: the keys are the search field's.
    // biome-ignore lint/a11y/useFocusableInteractive: the search field keeps the focus.
    <div
      key={id}
      id={optionId(id)}
      role="option"
      class="option"
      aria-selected={id === model}
      data-active={id === activeId}
      onClick={() => onChoose(id)}
      onPointerMove={() => {
        active.value = id;
      }}
    >
      <Check class="option-mark" size={16} aria-hidden="true" />
      <span class="option-label">{label}</span>
      <span class="option-note">{note}</span>
    </div>
  );

  return (
    <>
      <div class="picker-search">
        <input
          ref={field}
          class="field"
          type="text"
          role="combobox"
          aria-label="Search models"
          aria-expanded="true"
          aria-controls={listId}
          aria-activedescendant={activeId ? optionId(activeId) : undefined}
          aria-autocomplete="list"
          autocomplete="off"
          spellcheck={false}
          placeholder="Search, or type provider/model"
          value={search.value}
          onInput={(event) => {
            search.value = event.currentTarget.value;
          }}
          onKeyDown={onKeyDown}
        />
        <IconButton
          icon={RefreshCw}
          label="Ask the providers again"
          class={models.isLoading.value ? "spinning" : ""}
          disabled={models.isLoading.value}
          onClick={() => void models.load(true)}
        />
      </div>
      <div id={listId} class="picker-list" role="listbox" aria-label="Models">
        {groups.map(({ provider, models }) => (
          // biome-ignore lint/a11y/useSemanticElements: a fieldset is not allowed in a listbox.
          <div key={provider.provider} role="group" aria-label={provider.label}>
            <div class="picker-group" role="presentation">
              {provider.label}
              {provider.provider === "device" && <span class="tag">small on-device model</span>}
            </div>
            {models.map(({ id, label, context_tokens }) =>
              option(id, label, context_tokens ? `${formatShort(context_tokens)} context` : ""),
            )}
          </div>
        ))}
        {typed && (
          // biome-ignore lint/a11y/useSemanticElements: a fieldset is not allowed in a listbox.
          <div role="group" aria-label="As typed">
            {option(typed, `Use “${typed}”`, "as typed")}
          </div>
        )}
      </div>
      {ids.length === 0 && (
        <p class="muted picker-empty">{emptySentence(models.isLoading.value, search.value)}</p>
      )}
      <ProviderNotes
        providers={models.providers.value ?? []}
        problem={models.problem.value?.message ?? ""}
        onOpenKeys={() => {
          onClose();
          app.openSettings("keys");
        }}
      />
      {model !== null && model !== state.value?.default_model && (
        <footer class="picker-footer">
          <button
            type="button"
            class="button quiet"
            onClick={() => {
              onClose();
              void app.setDefaultModel(model);
            }}
          >
            Use {models.labelOf(model)} for new chats
          </button>
        </footer>
      )}
    </>
  );
}

interface ProviderNotesProps {
  providers: ProviderModels[];
  problem: string;
  onOpenKeys(): void;
}

/** Why a list may be old or empty, and what to do. Outside the listbox, which may hold options only. */
function ProviderNotes({ providers, problem, onOpenKeys }: ProviderNotesProps) {
  const notes = providers.filter((provider) => provider.needs_key || provider.problem);
  if (notes.length === 0 && !problem) return null;
  return (
    <ul class="picker-notes">
      {problem && <li>{problem}</li>}
      {notes.map(({ provider, label, needs_key, problem }) => (
        <li key={provider}>
          <span>
            {needs_key ? (
              <>
                <strong>{label}</strong> needs a key.
              </>
            ) : (
              problem
            )}
          </span>
          {needs_key && (
            <button type="button" class="link" onClick={onOpenKeys}>
              Add a key
            </button>
          )}
        </li>
      ))}
    </ul>
  );
}

function emptySentence(isLoading: boolean, search: string): string {
  if (isLoading) return "Asking the providers…";
  return search
    ? "No model has this name. Type it as provider/model to use it anyway."
    : "No models yet. Add a key or a server in Settings.";
}
