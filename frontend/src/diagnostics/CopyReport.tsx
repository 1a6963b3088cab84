import { useSignal } from "@preact/signals";
import { ClipboardCopy } from "lucide-preact";
import { copyText } from "../markdown/copy";
import { Problem } from "../ui/Problem";
import { useAction } from "../ui/useAction";

interface Props {
  label: string;
  load(): Promise<{ text: string }>;
}

/** Copies a text that Python makes. Where the web view has no clipboard, the text is shown instead. */
export function CopyReport({ label, load }: Props) {
  const { isBusy, problem, run } = useAction();
  const isCopied = useSignal(false);
  const byHand = useSignal<string | null>(null);
  const copy = () =>
    run(async () => {
      const { text } = await load();
      isCopied.value = await copyText(text);
      byHand.value = isCopied.value ? null : text;
    });
  return (
    <>
      <button type="button" class="button" disabled={isBusy.value} onClick={() => void copy()}>
        <ClipboardCopy size={14} aria-hidden="true" />
        <span aria-live="polite">{isCopied.value ? "Copied" : label}</span>
      </button>
      {byHand.value !== null && (
        <textarea class="error-detail" readOnly rows={8} aria-label="Copy this text" value={byHand.value} />
      )}
      {problem.value && (
        <Problem
          message={problem.value.message}
          hint={problem.value.hint}
          requestId={problem.value.requestId}
        />
      )}
    </>
  );
}
