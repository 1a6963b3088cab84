import { useSignal } from "@preact/signals";
import { CircleCheck, ExternalLink } from "lucide-preact";
import { useId, useRef } from "preact/hooks";
import type { KeyRow, KeyTest } from "../api.gen";
import type { App } from "../app/app";
import { formatAgo } from "../ui/format";
import { Problem } from "../ui/Problem";
import { useAction } from "../ui/useAction";
import type { KeyProvider } from "./keys";

const SOURCES: Record<KeyRow["source"], string> = {
  keychain: "system keychain",
  file: "encrypted file",
  environment: "from the environment, not stored",
};

interface Props {
  app: App;
  provider: KeyProvider;
  /** Called when a key was saved and tried. */
  onTested?(test: KeyTest): void;
}

/** Paste a key, keep it, and try it at once. The field is emptied as soon as the key is stored. */
export function KeyForm({ app, provider, onTested }: Props) {
  const { keys } = app;
  const row = keys.list.value?.keys.find((key) => key.provider === provider.id);
  const secret = useSignal("");
  const test = useSignal<KeyTest | null>(null);
  const saving = useAction();
  const testing = useAction();
  const field = useRef<HTMLInputElement>(null);
  const id = useId();
  const problem = saving.problem.value ?? testing.problem.value;
  const isBusy = saving.isBusy.value || testing.isBusy.value;

  const tryKey = () =>
    testing.run(async () => {
      test.value = null;
      test.value = await keys.test(provider.id);
      onTested?.(test.value);
    });
  const save = async () => {
    const pasted = secret.value.trim();
    if (pasted === "") return;
    test.value = null;
    if (!(await saving.run(() => keys.save(provider.id, pasted)))) return;
    secret.value = "";
    await tryKey();
  };
  const forget = async () => {
    test.value = null;
    if (await saving.run(() => keys.forget(provider.id))) field.current?.focus();
  };

  return (
    <form
      class="key-form"
      aria-label={`${provider.label} key`}
      onSubmit={(event) => {
        event.preventDefault();
        void save();
      }}
    >
      <div class="key-heading">
        <label for={id}>{provider.label}</label>
        <button type="button" class="link" onClick={() => app.openLink(provider.address)}>
          Get a key
          <ExternalLink size={13} aria-hidden="true" />
        </button>
      </div>
      <div class="field-row">
        <input
          ref={field}
          id={id}
          class="field mono"
          type="password"
          data-testid={`key-input-${provider.id}`}
          autocomplete="off"
          spellcheck={false}
          placeholder={row ? `Replace the key that ends in ${row.last_four}` : provider.placeholder}
          value={secret.value}
          onInput={(event) => {
            secret.value = event.currentTarget.value;
          }}
        />
        <button
          type="submit"
          class="button primary"
          data-testid={`key-save-${provider.id}`}
          disabled={secret.value.trim() === "" || isBusy}
        >
          {saving.isBusy.value ? "Saving…" : "Save"}
        </button>
      </div>
      {row && (
        <div class="key-facts">
          <span class="muted">
            Ends in <code>{row.last_four}</code> · {SOURCES[row.source]}
            {row.last_used_ms !== null && ` · used ${formatAgo(row.last_used_ms, Date.now())}`}
          </span>
          <span class="actions">
            <button type="button" class="button quiet" disabled={isBusy} onClick={() => void tryKey()}>
              {testing.isBusy.value ? "Testing…" : "Test this key"}
            </button>
            {row.source !== "environment" && (
              <button
                type="button"
                class="button quiet danger"
                disabled={isBusy}
                onClick={() => void forget()}
              >
                Delete
              </button>
            )}
          </span>
        </div>
      )}
      <div role="status">
        {test.value?.works && (
          <p class="success">
            <CircleCheck size={16} aria-hidden="true" />
            {test.value.message}
          </p>
        )}
      </div>
      {test.value && !test.value.works && <Problem message={test.value.message} hint={test.value.hint} />}
      {problem && <Problem message={problem.message} hint={problem.hint} requestId={problem.requestId} />}
    </form>
  );
}
