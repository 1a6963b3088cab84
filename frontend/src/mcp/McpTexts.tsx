import { useSignal } from "@preact/signals";
import { useEffect, useId } from "preact/hooks";
import type { InsertedText, McpPrompt, McpResource, McpServerRow } from "../api.gen";
import type { App } from "../app/app";
import { Problem } from "../ui/Problem";
import { useAction } from "../ui/useAction";

/** A server's resources and prompts. Their text goes into the message box, where the user can read it first. */
export function McpTexts({ app, server }: { app: App; server: McpServerRow }) {
  const resources = useSignal<McpResource[] | null>(null);
  const prompts = useSignal<McpPrompt[] | null>(null);
  const loading = useAction();
  const load = () =>
    loading.run(async () => {
      [resources.value, prompts.value] = await Promise.all([
        app.api.mcp.resources({ id: server.id }),
        app.api.mcp.prompts({ id: server.id }),
      ]);
    });
  useEffect(() => void load(), [server.id]);
  const inserting = useAction();
  const insert = (asked: () => Promise<InsertedText>) =>
    inserting.run(async () => {
      const { text, hidden_characters } = await asked();
      app.insertIntoMessage(text);
      if (hidden_characters === 0) return;
      const message = `${hidden_characters} invisible characters in it were left out.`;
      app.toasts.show({ level: "warning", message, hint: "A model would have read them, and you not." });
    });

  const problem = loading.problem.value ?? inserting.problem.value;
  return (
    <>
      {problem && (
        <Problem message={problem.message} hint={problem.hint} requestId={problem.requestId}>
          <button type="button" class="button" onClick={() => void load()}>
            Try again
          </button>
        </Problem>
      )}
      {loading.isBusy.value && <p class="muted">Asking the server…</p>}
      {prompts.value && prompts.value.length > 0 && (
        <>
          <h4>Prompts</h4>
          <ul class="list">
            {prompts.value.map((prompt) => (
              <li key={prompt.name} class="list-row">
                <Prompt
                  prompt={prompt}
                  isBusy={inserting.isBusy.value}
                  onInsert={(values) =>
                    void insert(() =>
                      app.api.mcp.get_prompt({ id: server.id, name: prompt.name, arguments: values }),
                    )
                  }
                />
              </li>
            ))}
          </ul>
        </>
      )}
      {resources.value && resources.value.length > 0 && (
        <>
          <h4>Resources</h4>
          <ul class="list">
            {resources.value.map((resource) => (
              <li key={resource.uri} class="list-row">
                <div class="list-text">
                  <strong>{resource.name}</strong>
                  <span class="muted">{resource.description || resource.uri}</span>
                </div>
                <button
                  type="button"
                  class="button"
                  disabled={inserting.isBusy.value}
                  aria-label={`Insert ${resource.name}`}
                  onClick={() =>
                    void insert(() => app.api.mcp.read_resource({ id: server.id, uri: resource.uri }))
                  }
                >
                  Insert
                </button>
              </li>
            ))}
          </ul>
        </>
      )}
    </>
  );
}

interface PromptProps {
  prompt: McpPrompt;
  isBusy: boolean;
  onInsert(values: Record<string, string>): void;
}

function Prompt({ prompt, isBusy, onInsert }: PromptProps) {
  const id = useId();
  const values = useSignal<Record<string, string>>({});
  const isReady = prompt.arguments.every(({ name, is_required }) => !is_required || values.value[name]);
  return (
    <form
      class="mcp-prompt"
      aria-label={prompt.title}
      onSubmit={(event) => {
        event.preventDefault();
        onInsert(Object.fromEntries(Object.entries(values.value).filter(([, value]) => value !== "")));
      }}
    >
      <div class="list-text">
        <strong>{prompt.title}</strong>
        <span class="muted">{prompt.description}</span>
      </div>
      {prompt.arguments.map((argument) => (
        <div key={argument.name} class="mcp-blank">
          <label for={`${id}-${argument.name}`}>
            {argument.name}
            {!argument.is_required && <span class="muted"> (optional)</span>}
          </label>
          <input
            id={`${id}-${argument.name}`}
            class="field"
            placeholder={argument.description}
            value={values.value[argument.name] ?? ""}
            onInput={(event) => {
              values.value = { ...values.value, [argument.name]: event.currentTarget.value };
            }}
          />
        </div>
      ))}
      <button
        type="submit"
        class="button"
        disabled={isBusy || !isReady}
        aria-label={`Insert ${prompt.title}`}
      >
        Insert
      </button>
    </form>
  );
}
