import { useSignal } from "@preact/signals";
import { Check, Copy } from "lucide-preact";
import { copyText } from "../markdown/copy";

/** The request that failed: by it the log and the error log tell the rest. One button copies it. */
export function RequestId({ id }: { id: string }) {
  const isCopied = useSignal(false);
  const copy = async () => {
    isCopied.value = await copyText(id);
  };
  return (
    <p class="request-id muted">
      Request <code>{id}</code>
      <button
        type="button"
        class="icon-button small"
        aria-label={isCopied.value ? "Copied" : `Copy the request's number, ${id}`}
        title={isCopied.value ? "Copied" : "Copy"}
        onClick={() => void copy()}
      >
        {isCopied.value ? <Check size={14} aria-hidden="true" /> : <Copy size={14} aria-hidden="true" />}
      </button>
    </p>
  );
}
