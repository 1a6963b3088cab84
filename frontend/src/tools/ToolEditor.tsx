import { useSignal } from "@preact/signals";
import { useEffect, useId, useRef } from "preact/hooks";
import type { ToolDraft } from "../api.gen";
import type { App } from "../app/app";
import { BridgeError } from "../bridge";
import { CodeField, type CodeHandle } from "../code/CodeField";
import { Problem } from "../ui/Problem";
import { useAction } from "../ui/useAction";
import { Lacking } from "./Lacking";
import { TestBench } from "./TestBench";
import { asObject, asText, CAPABILITIES, type Draft } from "./tools";

// Long enough not to ask at each key, short enough to be there when the user looks up.
const PAUSE_MS = 250;

export function ToolEditor({ app, draft }: { app: App; draft: Draft }) {
  const { tools } = app;
  const id = useId();
  const problems = useSignal<string[]>([]);
  const functionName = useSignal("");
  const wrongLine = useSignal<number | null>(null);
  const saving = useAction();
  const heading = useRef<HTMLHeadingElement>(null);
  const code = useRef<CodeHandle>(null);
  const parameters = asObject(draft.parameters);
  const categories = [...new Set((tools.list.value ?? []).map((tool) => tool.category).filter(Boolean))];
  const set = (changes: Partial<Draft>) => {
    tools.draft.value = { ...(tools.draft.value ?? draft), ...changes };
  };
  const setOwn = (name: keyof Draft["own"], value: string) =>
    set({ [name]: value, own: { ...draft.own, [name]: true } });

  useEffect(() => heading.current?.focus(), []);
  useEffect(() => {
    const timer = setTimeout(() => void read(), PAUSE_MS);
    return () => clearTimeout(timer);
  }, [draft.source]);

  /** Ask what the code says of itself; what the user did not write themselves follows it. */
  async function read(): Promise<void> {
    try {
      const found = await app.api.tools.draft_parameters({ source: draft.source });
      problems.value = found.problems;
      functionName.value = found.function;
      const now = tools.draft.value;
      if (now && now.source === draft.source) tools.draft.value = followed(now, found);
    } catch (error) {
      // The window lost Python for a moment; the next key asks again.
      if (!(error instanceof BridgeError)) throw error;
    }
  }

  const save = async (event: Event) => {
    event.preventDefault();
    if (!parameters) return;
    const { name, description, source, category, capabilities, kept } = draft;
    await saving.run(() =>
      tools.save(
        {
          name: name.trim(),
          description,
          parameters,
          source,
          category: category.trim(),
          capabilities,
          approval: kept?.approval ?? "ask",
          is_enabled: kept?.is_enabled ?? true,
        },
        kept,
      ),
    );
  };

  return (
    <form class="tool-editor" onSubmit={save}>
      <h2 ref={heading} tabIndex={-1} class="editor-title">
        {draft.kept ? `Edit ${draft.kept.name}` : "New tool"}
      </h2>
      <section class="card" aria-labelledby={`${id}-code-label`}>
        <label id={`${id}-code-label`} for={`${id}-code`}>
          Code
        </label>
        <p id={`${id}-code-hint`} class="muted">
          Write one function. Its name, description and types are what the agent is told. Helpers start with
          an underscore. Tab indents; press Esc, then Tab, to go on.
        </p>
        <CodeField
          handle={code}
          id={`${id}-code`}
          language="python"
          fewestLines={10}
          value={draft.source}
          describedBy={`${id}-code-hint ${id}-problems`}
          wrongLine={wrongLine.value}
          onChange={(source) => {
            wrongLine.value = null;
            set({ source });
          }}
        />
        <div id={`${id}-problems`} class="code-problems" role="status">
          {problems.value.map((problem) => (
            <p key={problem}>{problem}</p>
          ))}
        </div>
        <Lacking />
      </section>

      <section class="card" aria-label="What the agent is told">
        <div class="two-fields">
          <div>
            <label for={`${id}-name`}>Name</label>
            <input
              id={`${id}-name`}
              class="field mono"
              required
              pattern="[A-Za-z][A-Za-z0-9_]{0,63}"
              title="Letters, digits and underscores, beginning with a letter"
              maxLength={64}
              autocomplete="off"
              spellcheck={false}
              value={draft.name}
              onInput={(event) => setOwn("name", event.currentTarget.value)}
            />
          </div>
          <div>
            <label for={`${id}-category`}>Category</label>
            <input
              id={`${id}-category`}
              class="field"
              list={`${id}-categories`}
              placeholder="Optional"
              maxLength={60}
              autocomplete="off"
              value={draft.category}
              onInput={(event) => set({ category: event.currentTarget.value })}
            />
            <datalist id={`${id}-categories`}>
              {categories.map((category) => (
                <option key={category} value={category} />
              ))}
            </datalist>
          </div>
        </div>
        <label for={`${id}-description`}>Description</label>
        <textarea
          id={`${id}-description`}
          class="field tool-area"
          required
          rows={Math.min(8, Math.max(3, draft.description.split("\n").length))}
          maxLength={10_000}
          value={draft.description}
          onInput={(event) => setOwn("description", event.currentTarget.value)}
        />
        <details class="advanced">
          <summary>Parameters</summary>
          <p id={`${id}-parameters-hint`} class="muted">
            Drafted from the function as JSON Schema. What an agent passes is checked against it. Tab indents
            here, too.
          </p>
          <CodeField
            id={`${id}-parameters`}
            language="json"
            label="Parameters as JSON Schema"
            describedBy={`${id}-parameters-hint ${id}-parameters-problem`}
            isWrong={parameters === null}
            fewestLines={6}
            value={draft.parameters}
            onChange={(text) => setOwn("parameters", text)}
          />
          <div class="actions">
            {draft.own.parameters && (
              <button
                type="button"
                class="button quiet"
                onClick={() => {
                  set({ own: { ...draft.own, parameters: false } });
                  void read();
                }}
              >
                Draft from the code again
              </button>
            )}
            <p id={`${id}-parameters-problem`} class="field-problem" role="status">
              {parameters === null && draft.parameters !== "" && "This is not a JSON object."}
            </p>
          </div>
        </details>
      </section>

      <fieldset class="card capabilities">
        <legend>What it may reach</legend>
        <p class="muted">
          The code runs in a sandbox without files, network or programs. Give it only what it needs.
        </p>
        {CAPABILITIES.map(({ value, label, hint }) => (
          <label key={value} class="capability">
            <input
              type="checkbox"
              checked={draft.capabilities.includes(value)}
              onChange={(event) =>
                set({
                  capabilities: event.currentTarget.checked
                    ? [...draft.capabilities, value]
                    : draft.capabilities.filter((each) => each !== value),
                })
              }
            />
            <span>
              {label}
              <span class="muted">{hint}</span>
            </span>
          </label>
        ))}
      </fieldset>

      <TestBench
        app={app}
        draft={draft}
        functionName={functionName.value}
        parameters={parameters}
        onWrongLine={(line) => {
          wrongLine.value = line;
        }}
        onShowLine={(line) => code.current?.show(line)}
      />

      {saving.problem.value && (
        <Problem
          message={saving.problem.value.message}
          hint={saving.problem.value.hint}
          requestId={saving.problem.value.requestId}
        />
      )}
      <div class="actions">
        <button
          type="submit"
          class="button primary"
          data-testid="tool-save"
          disabled={saving.isBusy.value || parameters === null}
        >
          {draft.kept ? "Save" : "Add tool"}
        </button>
        <button
          type="button"
          class="button quiet"
          onClick={() => {
            tools.draft.value = null;
          }}
        >
          Cancel
        </button>
      </div>
    </form>
  );
}

/** The draft after its code was read. Something that says the same as the code is no longer the user's own. */
export function followed(draft: Draft, found: ToolDraft): Draft {
  const schema = asText(found.parameters);
  const own = {
    name: draft.own.name && draft.name !== found.name,
    description: draft.own.description && draft.description !== found.description,
    parameters: draft.own.parameters && draft.parameters !== schema,
  };
  // Code in the middle of a change says nothing for a moment: what was there stays.
  if (found.name === "") return { ...draft, parameters: draft.parameters || schema };
  return {
    ...draft,
    own,
    name: own.name ? draft.name : found.name,
    description: own.description ? draft.description : found.description,
    parameters: own.parameters ? draft.parameters : schema,
  };
}
