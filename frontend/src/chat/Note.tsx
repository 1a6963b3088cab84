import { type ReadonlySignal, useSignal } from "@preact/signals";
import { FoldVertical, Gauge, Hammer, type LucideIcon, RotateCw, Scissors, Shuffle } from "lucide-preact";
import type { NotePart } from "../api.gen";
import { Markdown } from "../markdown/Markdown";

const ICONS: Record<NotePart["what"], LucideIcon> = {
  retried: RotateCw,
  fell_back: Shuffle,
  trimmed: Scissors,
  compacted: FoldVertical,
  repaired: Hammer,
  limit: Gauge,
};

interface Props {
  note: ReadonlySignal<NotePart>;
  onOpenLink(url: string): void;
}

/** Something that was done to get the answer, in a quiet line; what it is about, for who wants to know. */
export function Note({ note, onOpenLink }: Props) {
  const { what, text, detail } = note.value;
  const isOpen = useSignal(false);
  const Icon = ICONS[what];
  const line = (
    <>
      <Icon size={14} aria-hidden="true" />
      <span>{text}</span>
    </>
  );
  if (!detail) {
    return (
      <p class="quiet-line" data-testid="note">
        {line}
      </p>
    );
  }
  return (
    <details
      class="note"
      data-testid="note"
      onToggle={(event) => {
        isOpen.value = event.currentTarget.open;
      }}
    >
      <summary class="quiet-line">
        {line}
        <span class="note-more">{isOpen.value ? "Hide" : "Show"}</span>
      </summary>
      {isOpen.value && (
        <div class="disclosure-body">
          <Markdown text={detail} onOpenLink={onOpenLink} />
        </div>
      )}
    </details>
  );
}
