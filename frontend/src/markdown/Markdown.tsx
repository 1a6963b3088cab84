/**
 * Markdown as a reader sees it, while it is being written and afterwards.
 *
 *     <Markdown text={answer} streaming={isStreaming} onOpenLink={openExternally} />
 *
 * `text`        a string, or a signal of one that grows. Growing costs only the last block; a text that changes
 *               otherwise is rendered anew.
 * `streaming`   true while more may come: half-written markdown is shown as what it is going to be. When it
 *               turns false the text is rendered as it stands.
 * `onOpenLink`  gets the address (http, https or mailto) of a link that was clicked. Nothing here navigates.
 *
 * This is all there is to import from this folder. The colours are CSS variables, listed in markdown.css.
 */

import type { ReadonlySignal } from "@preact/signals";
import type { JSX } from "preact";
import "./markdown.css";
import { BlockView } from "./BlockView";
import { copyCode } from "./copy";
import { openableUrl } from "./links";
import { useBlocks } from "./useBlocks";

export interface MarkdownProps {
  readonly text: string | ReadonlySignal<string>;
  readonly streaming?: boolean;
  readonly onOpenLink: (url: string) => void;
}

export function Markdown({ text, streaming = false, onOpenLink }: MarkdownProps): JSX.Element {
  const { sealed, open } = useBlocks(text, streaming);
  const openLink = (event: MouseEvent) => {
    const link = closest(event, "a");
    if (link === null) return;
    event.preventDefault();
    const url = openableUrl(link.getAttribute("href") ?? "");
    // The right button brings the context menu; only the left and the middle one open links.
    if (url !== null && event.button < 2) onOpenLink(url);
  };
  const click = (event: MouseEvent) => {
    const button = closest(event, "button.md-copy");
    if (button === null) openLink(event);
    else void copyCode(button);
  };
  return (
    // biome-ignore lint/a11y/noStaticElementInteractions: it only hears the clicks of the links and buttons inside.
    // biome-ignore lint/a11y/useKeyWithClickEvents: Enter on a link or button inside arrives as its click.
    <div class="md" onClick={click} onAuxClick={openLink}>
      {sealed.map((block, index) => (
        <BlockView key={index} block={block} isOpen={false} />
      ))}
      {open && <BlockView key={sealed.length} block={open} isOpen={true} />}
    </div>
  );
}

function closest(event: Event, selector: string): Element | null {
  return event.target instanceof Element ? event.target.closest(selector) : null;
}
