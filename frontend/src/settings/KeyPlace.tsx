import { useSignal } from "@preact/signals";
import { useId } from "preact/hooks";
import type { KeychainStatus } from "../api.gen";
import type { App } from "../app/app";
import { Problem } from "../ui/Problem";
import { useAction } from "../ui/useAction";

/** As the bridge demands; shorter ones are guessed too easily. */
const SHORTEST = 8;

const EXPLANATIONS: Record<KeychainStatus["state"], string> = {
  ready: "",
  file_ready: "Keys are kept in a file encrypted with your passphrase.",
  missing: "No system keychain was found. You can keep keys in a file encrypted with a passphrase.",
  locked: "The system keychain is locked. Unlock it, or keep keys in a file encrypted with a passphrase.",
  file_locked: "Keys are kept in an encrypted file. Give its passphrase to use them.",
};

/** Where keys are kept, and what to do when there is no place for them. */
export function KeyPlace({ app }: { app: App }) {
  const keychain = app.keys.list.value?.keychain;
  if (!keychain) return null;
  const { state, backend, hint } = keychain;
  if (state === "ready") {
    return (
      <p class="muted">Keys are kept in the system keychain{backend && ` (${backend})`}, nowhere else.</p>
    );
  }
  if (state === "file_ready") return <p class="muted">{EXPLANATIONS.file_ready}</p>;
  return (
    <section class="card" aria-label="Where keys are kept">
      {/* The hint for a locked file leads here; here it would lead in a circle. */}
      <p>{(state !== "file_locked" && hint) || EXPLANATIONS[state]}</p>
      {state !== "file_locked" && (
        <p class="muted">Deskside needs its passphrase again after each start. Nobody can recover it.</p>
      )}
      <PassphraseForm app={app} isNew={state !== "file_locked"} />
      {state === "locked" && (
        <button type="button" class="button quiet" onClick={() => void app.keys.load()}>
          I have unlocked the keychain
        </button>
      )}
    </section>
  );
}

function PassphraseForm({ app, isNew }: { app: App; isNew: boolean }) {
  const passphrase = useSignal("");
  const { isBusy, problem, run } = useAction();
  const id = useId();
  const label = isNew ? "New passphrase" : "Passphrase";
  return (
    <form
      onSubmit={async (event) => {
        event.preventDefault();
        if (await run(() => app.keys.useFile(passphrase.value))) passphrase.value = "";
      }}
    >
      <label for={id}>{label}</label>
      <div class="field-row">
        <input
          id={id}
          class="field"
          type="password"
          autocomplete={isNew ? "new-password" : "current-password"}
          minLength={SHORTEST}
          value={passphrase.value}
          aria-describedby={`${id}-hint`}
          onInput={(event) => {
            passphrase.value = event.currentTarget.value;
          }}
        />
        <button
          type="submit"
          class="button primary"
          disabled={passphrase.value.length < SHORTEST || isBusy.value}
        >
          {isNew ? "Use an encrypted file" : "Unlock"}
        </button>
      </div>
      <p id={`${id}-hint`} class="muted">
        At least {SHORTEST} characters.
      </p>
      {problem.value && (
        <Problem
          message={problem.value.message}
          hint={problem.value.hint}
          requestId={problem.value.requestId}
        />
      )}
    </form>
  );
}
