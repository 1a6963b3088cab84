/** Colours for code: highlight.js classes, never styles, and never a guess at the language. */

import { lazily } from "./lazy";

/** highlight.js runs synchronously and takes about a millisecond for 10,000 characters; past this, plain. */
export const HIGHLIGHT_LIMIT_CHARS = 50_000;

const highlighter = lazily(async () => (await import("./languages")).highlighter);

/** Start fetching the languages, so that they are there when the first fence ends. */
export function prepareHighlighting(): void {
  highlighter();
}

/** `code` as HTML with `hljs-…` spans; null if it stays plain; "waiting" until the languages are loaded. */
export function highlight(code: string, language: string): string | "waiting" | null {
  if (language === "" || code.length > HIGHLIGHT_LIMIT_CHARS) return null;
  const loaded = highlighter();
  if (loaded === null) return "waiting";
  if (loaded.getLanguage(language) === undefined) return null;
  return loaded.highlight(code, { language, ignoreIllegals: true }).value;
}

/** Line by line: what is open at the end of one is closed there, and opened again in the next. */
export function linesOf(html: string): string[] {
  const open: string[] = [];
  return html.split("\n").map((line) => {
    const before = open.join("");
    for (const [tag] of line.matchAll(/<span [^>]*>|<\/span>/g)) {
      if (tag === "</span>") open.pop();
      else open.push(tag);
    }
    return before + line + "</span>".repeat(open.length);
  });
}
