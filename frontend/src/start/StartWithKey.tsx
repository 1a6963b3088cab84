import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import type { App } from "../app/app";
import { KeyForm } from "../settings/KeyForm";
import { KeyPlace } from "../settings/KeyPlace";
import { KEY_PROVIDERS } from "../settings/keys";

export function StartWithKey({ app }: { app: App }) {
  const { keys } = app;
  /** null until a key was tried. */
  const works = useSignal<boolean | null>(null);
  useEffect(() => void keys.load(), []);
  const hasPlace = keys.list.value?.keychain.state === "ready";
  const hasKey = (keys.list.value?.keys.length ?? 0) > 0;
  return (
    <div class="stack">
      {!hasPlace && <KeyPlace app={app} />}
      {KEY_PROVIDERS.map((provider) => (
        <KeyForm
          key={provider.id}
          app={app}
          provider={provider}
          onTested={(test) => {
            works.value = works.value === true || test.works;
          }}
        />
      ))}
      {hasPlace && <KeyPlace app={app} />}
      {(works.value !== null || hasKey) && (
        <div class="actions">
          <button
            type="button"
            class={works.value === false ? "button" : "button primary"}
            onClick={() => void app.finishStart()}
          >
            {works.value === false ? "Start anyway" : "Start chatting"}
          </button>
        </div>
      )}
    </div>
  );
}
