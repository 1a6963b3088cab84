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
 * This, and Code.tsx for code by itself, is all there is to import from this folder. The colours are CSS variables, listed in markdown.css.
 */

import type { ReadonlySignal } from "@preact/signals";
import type { JSX } from "preact";
import "./markdown.css";
import { BlockGroup, groupsOf } from "./BlockGroup";
import { copyCode, dragCode } from "./copy";
import { openableUrl } from "./links";
import { useBlocks } from "./useBlocks";

export interface MarkdownProps {
  readonly text: string | ReadonlySignal<string>;
  readonly streaming?: boolean;
  readonly onOpenLink: (url: string) => void;
}

/** A text of more is shown piece by piece, its end first; a shorter one costs about two frames. */
const LONG_GROUPS = 8;
const LONG_CHARS = 5_000;
/** Groups at the end of a long text that are there at once: they fill a window. */
const GROUPS_AT_ONCE = 3;

export function Markdown({ text, streaming = false, onOpenLink }: MarkdownProps): JSX.Element {
  const { sealed, open } = useBlocks(text, streaming);
  const blocks = open === null ? sealed : [...sealed, open];
  const groups = groupsOf(blocks);
  const count = groups.length;
  const isLong = count > LONG_GROUPS || blocks.reduce((sum, { raw }) => sum + raw.length, 0) > LONG_CHARS;
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
  const drag = (event: DragEvent) => {
    const head = closest(event, "figcaption");
    if (head !== null) dragCode(head, event.dataTransfer);
  };
  return (
    // biome-ignore lint/a11y/noStaticElementInteractions: it only hears the clicks of the links and buttons inside.
    // biome-ignore lint/a11y/useKeyWithClickEvents: Enter on a link or button inside arrives as its click.
    <div class={isLong ? "md md-long" : "md"} onClick={click} onAuxClick={openLink} onDragStart={drag}>
      {groups.map((group, index) => (
        <BlockGroup
          key={index}
          blocks={group}
          isOpen={open !== null && index === count - 1}
          mayWait={isLong && index < count - GROUPS_AT_ONCE}
        />
      ))}
    </div>
  );
}

function closest(event: Event, selector: string): Element | null {
  return event.target instanceof Element ? event.target.closest(selector) : null;
}
