import { type ReadonlySignal, useSignal } from "@preact/signals";
import { ChevronRight } from "lucide-preact";

interface Props {
  text: ReadonlySignal<string>;
  isGrowing: boolean;
}

/** What the model thought before it answered; closed until someone wants to read it. */
export function Reasoning({ text, isGrowing }: Props) {
  const isOpen = useSignal(false);
  return (
    <details
      class="disclosure"
      onToggle={(event) => {
        isOpen.value = event.currentTarget.open;
      }}
    >
      <summary>
        <ChevronRight class="disclosure-mark" size={16} aria-hidden="true" />
        {isGrowing ? "Thinking…" : "Thoughts"}
      </summary>
      {isOpen.value && <div class="disclosure-body reasoning">{text}</div>}
    </details>
  );
}
