import { useSignal } from "@preact/signals";
import { useId } from "preact/hooks";
import type { App } from "../app/app";
import { Problem } from "../ui/Problem";
import { Switch } from "../ui/Switch";
import { useAction } from "../ui/useAction";

/** As the bridge demands. */
const SHORTEST = 8;

/** Whether backups are encrypted, and with which passphrase. */
export function EncryptionCard({ app }: { app: App }) {
  const action = useAction();
  const isAsking = useSignal(false);
  const list = app.backups.list.value;
  if (!list) return null;
  const encrypt = (passphrase: string | null) =>
    action.run(async () => {
      app.backups.list.value = await app.api.backups.encrypt({ passphrase });
      isAsking.value = false;
    });
  return (
    <section class="card" aria-label="Encryption of backups">
      <div class="heading-row">
        <h2>Encrypt backups</h2>
        <Switch
          label="Encrypt backups"
          isOn={list.is_encrypted || isAsking.value}
          isDisabled={action.isBusy.value}
          onChange={(isOn) => {
            if (isOn) isAsking.value = true;
            else if (isAsking.value) isAsking.value = false;
            else void encrypt(null);
          }}
        />
      </div>
      <p class="muted">
        {list.is_encrypted
          ? "New backups can only be opened with your passphrase. Nobody can recover it."
          : "For backups on another disk or in a synchronised folder. Those that are there stay as they are."}
      </p>
      {isAsking.value && <NewPassphrase isBusy={action.isBusy.value} onChoose={(it) => void encrypt(it)} />}
      {action.problem.value && (
        <Problem
          message={action.problem.value.message}
          hint={action.problem.value.hint}
          requestId={action.problem.value.requestId}
        />
      )}
    </section>
  );
}

function NewPassphrase({ isBusy, onChoose }: { isBusy: boolean; onChoose(passphrase: string): void }) {
  const passphrase = useSignal("");
  const again = useSignal("");
  const id = useId();
  const isLong = passphrase.value.length >= SHORTEST;
  const differs = again.value !== "" && again.value !== passphrase.value;
  return (
    <form
      onSubmit={(event) => {
        event.preventDefault();
        onChoose(passphrase.value);
      }}
    >
      <label for={id}>New passphrase</label>
      <input
        id={id}
        class="field"
        type="password"
        autocomplete="new-password"
        aria-describedby={`${id}-hint`}
        value={passphrase.value}
        onInput={(event) => {
          passphrase.value = event.currentTarget.value;
        }}
      />
      <label for={`${id}-again`}>The same again</label>
      <input
        id={`${id}-again`}
        class="field"
        type="password"
        autocomplete="new-password"
        aria-invalid={differs}
        value={again.value}
        onInput={(event) => {
          again.value = event.currentTarget.value;
        }}
      />
      <p id={`${id}-hint`} class={differs ? "field-problem" : "muted"}>
        {differs
          ? "The two are not the same."
          : `At least ${SHORTEST} characters. It is kept nowhere: write it down.`}
      </p>
      <div class="actions">
        <button
          type="submit"
          class="button primary"
          disabled={!isLong || again.value !== passphrase.value || isBusy}
        >
          {isBusy ? "Making the key…" : "Encrypt from now on"}
        </button>
      </div>
    </form>
  );
}
