import { type ReadonlySignal, useSignal } from "@preact/signals";
import { ChevronRight } from "lucide-preact";
import { Markdown } from "../markdown/Markdown";

interface Props {
  text: ReadonlySignal<string>;
  isGrowing: boolean;
  onOpenLink(url: string): void;
}

/** What the model thought before it answered; closed until someone wants to read it. */
export function Reasoning({ text, isGrowing, onOpenLink }: Props) {
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
      {isOpen.value && (
        <div class="disclosure-body reasoning">
          <Markdown text={text} streaming={isGrowing} onOpenLink={onOpenLink} />
        </div>
      )}
    </details>
  );
}
