import { useEffect } from "preact/hooks";
import type { App } from "../app/app";
import { Problem } from "../ui/Problem";
import { AddressField } from "./AddressField";
import { KeyForm } from "./KeyForm";
import { KeyPlace } from "./KeyPlace";
import { KEY_PROVIDERS } from "./keys";
import { Row } from "./Row";

export function KeysSection({ app }: { app: App }) {
  const { keys } = app;
  useEffect(() => void keys.load(), []);
  const problem = keys.loadProblem.value;
  return (
    <>
      <p class="lead">
        With your own key Deskside talks to the provider directly. The provider bills you for what you use.
      </p>
      {problem && (
        <Problem message={problem.message} hint={problem.hint} requestId={problem.requestId}>
          <button type="button" class="button" onClick={() => void keys.load()}>
            Try again
          </button>
        </Problem>
      )}
      <KeyPlace app={app} />
      <div class="stack">
        {KEY_PROVIDERS.map((provider) => (
          <section key={provider.id} class="card">
            <KeyForm app={app} provider={provider} />
          </section>
        ))}
      </div>
      <details class="advanced">
        <summary>Other addresses</summary>
        <p class="muted">
          For a proxy or a gateway that speaks the provider's language. Empty means the provider itself.
        </p>
        <Row label="OpenAI address">
          {({ id }) => (
            <AddressField
              id={id}
              value={app.settings.value?.openai_base_url ?? null}
              placeholder="https://api.openai.com/v1"
              onSave={(address) => app.changeSettings({ openai_base_url: address })}
            />
          )}
        </Row>
        <Row label="Anthropic address">
          {({ id }) => (
            <AddressField
              id={id}
              value={app.settings.value?.anthropic_base_url ?? null}
              placeholder="https://api.anthropic.com"
              onSave={(address) => app.changeSettings({ anthropic_base_url: address })}
            />
          )}
        </Row>
      </details>
    </>
  );
}
