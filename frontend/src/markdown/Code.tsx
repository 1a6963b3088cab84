import { useLayoutEffect, useRef } from "preact/hooks";
import { highlight, linesOf } from "./highlight";
import { escapeHtml } from "./html";
import { arrivals } from "./lazy";
import { sanitize, setContent } from "./sanitize";

interface Props {
  code: string;
  /** As highlight.js calls it. */
  language: string;
}

/**
 * Code in the colours of an answer's, each line an element; plain where it is too long for them.
 *
 * While it is typed, only lines that changed are made anew: to sanitise and lay out all of 600 lines took 80 ms
 * a key.
 */
export function Code({ code, language }: Props) {
  const element = useRef<HTMLElement>(null);
  const shown = useRef<string[]>([]);
  const seen = arrivals.value;
  useLayoutEffect(() => {
    if (!element.current) return;
    const html = highlight(code, language);
    const lines = linesOf(html === null || html === "waiting" ? escapeHtml(code) : html);
    replaceLines(element.current, shown.current, lines);
    shown.current = lines;
  }, [code, language, seen]);
  return <code ref={element} class="md-code" />;
}

/** Lines that are the same at both ends stay. */
function replaceLines(element: Element, before: string[], after: string[]): void {
  const shorter = Math.min(before.length, after.length);
  let first = 0;
  while (first < shorter && before[first] === after[first]) first += 1;
  let last = 0;
  while (last < shorter - first && before.at(-1 - last) === after.at(-1 - last)) last += 1;
  for (let at = before.length - last; at > first; at -= 1) element.children[at - 1]?.remove();
  const next = element.children[first] ?? null;
  for (const html of after.slice(first, after.length - last)) {
    const line = document.createElement("span");
    line.className = "md-code-line";
    setContent(line, sanitize(html));
    element.insertBefore(line, next);
  }
}
