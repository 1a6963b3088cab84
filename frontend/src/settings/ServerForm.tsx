import { useSignal } from "@preact/signals";
import { useEffect, useId, useRef } from "preact/hooks";
import type { Server } from "../api.gen";
import { serverAddress } from "./servers";

interface Props {
  /** The server to change; null for a new one. */
  server: Server | null;
  saveLabel: string;
  onSave(fields: Omit<Server, "id">): Promise<unknown>;
  onCancel?(): void;
}

export function ServerForm({ server, saveLabel, onSave, onCancel }: Props) {
  const label = useSignal(server?.label ?? "");
  const address = useSignal(server?.base_url ?? "");
  const isFree = useSignal(server?.is_free ?? false);
  const isWrong = useSignal(false);
  const first = useRef<HTMLInputElement>(null);
  const id = useId();
  useEffect(() => first.current?.focus(), []);

  const save = async (event: Event) => {
    event.preventDefault();
    const url = serverAddress(address.value);
    isWrong.value = url === null;
    if (url === null) return;
    await onSave({
      label: label.value.trim() || new URL(url).host,
      base_url: url,
      is_free: isFree.value,
    });
  };
  return (
    <form class="server-form" onSubmit={save}>
      <div>
        <label for={`${id}-address`}>Address</label>
        <input
          ref={first}
          id={`${id}-address`}
          class="field"
          spellcheck={false}
          autocomplete="off"
          placeholder="http://localhost:1234/v1"
          maxLength={2000}
          aria-invalid={isWrong.value}
          aria-describedby={`${id}-problem`}
          value={address.value}
          onInput={(event) => {
            address.value = event.currentTarget.value;
          }}
        />
        <p id={`${id}-problem`} class="field-problem" role="status">
          {isWrong.value && "This is not an address. It looks like http://localhost:1234/v1."}
        </p>
      </div>
      <div>
        <label for={`${id}-label`}>Name</label>
        <input
          id={`${id}-label`}
          class="field"
          autocomplete="off"
          placeholder="My server"
          maxLength={100}
          value={label.value}
          onInput={(event) => {
            label.value = event.currentTarget.value;
          }}
        />
      </div>
      <label class="capability">
        <input
          type="checkbox"
          checked={isFree.value}
          onChange={(event) => {
            isFree.value = event.currentTarget.checked;
          }}
        />
        <span>
          Its answers cost nothing
          <span class="muted">
            Then they count as $0 for your limits; otherwise their price is not known.
          </span>
        </span>
      </label>
      <div class="actions">
        <button type="submit" class="button primary" disabled={address.value.trim() === ""}>
          {saveLabel}
        </button>
        {onCancel && (
          <button type="button" class="button quiet" onClick={onCancel}>
            Cancel
          </button>
        )}
      </div>
    </form>
  );
}
