import type { ReadonlySignal } from "@preact/signals";

interface Props {
  text: ReadonlySignal<string> | string;
  streaming: boolean;
  onOpenLink(url: string): void;
}

/** Plain text until the markdown renderer takes this place. */
export function Markdown({ text }: Props) {
  return <div class="markdown plain">{text}</div>;
}
