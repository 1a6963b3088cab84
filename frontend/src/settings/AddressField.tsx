import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";

interface Props {
  id: string;
  value: string | null;
  placeholder: string;
  onSave(address: string | null): Promise<boolean>;
}

/** A web address that may be empty, saved with its button. */
export function AddressField({ id, value, placeholder, onSave }: Props) {
  const text = useSignal(value ?? "");
  useEffect(() => {
    text.value = value ?? "";
  }, [value]);
  const typed = text.value.trim() || null;
  return (
    <form
      class="field-row"
      onSubmit={(event) => {
        event.preventDefault();
        void onSave(typed);
      }}
    >
      <input
        id={id}
        class="field"
        type="url"
        pattern="https?://\S+"
        spellcheck={false}
        placeholder={placeholder}
        value={text.value}
        onInput={(event) => {
          text.value = event.currentTarget.value;
        }}
      />
      <button type="submit" class="button" disabled={typed === value}>
        Save
      </button>
    </form>
  );
}
