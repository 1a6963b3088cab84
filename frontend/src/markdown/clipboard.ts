/**
 * An answer for other programs, copied or dragged out of the window: as plain markdown and, for those that take
 * it, as HTML without the page's own classes, buttons and colours. Formulas stay as they were written.
 */

import { Marked } from "marked";
import { escapeHtml } from "./html";
import { dialect, isTooCostly } from "./lexer";
import { openableUrl } from "./links";
import { PROSE_LIMIT_CHARS } from "./render";

const marked = new Marked(dialect, {
  renderer: {
    link({ href, tokens }) {
      const url = openableUrl(href);
      const content = this.parser.parseInline(tokens);
      return url === null ? content : `<a href="${escapeHtml(url)}">${content}</a>`;
    },
    // Another program would fetch it.
    image: ({ text, href }) => escapeHtml(text || href),
    checkbox: ({ checked }) => (checked ? "☑ " : "☐ "),
  },
});

/** Markdown as HTML for other programs; null for what would take too long. */
export function clipboardHtml(markdown: string): string | null {
  if (markdown.length > PROSE_LIMIT_CHARS || isTooCostly(markdown)) return null;
  try {
    return marked.parse(markdown, { async: false });
  } catch (error) {
    // The stack ran out in nested emphasis or brackets: the plain text goes alone.
    if (error instanceof RangeError) return null;
    throw error;
  }
}

/** Puts both forms into what is copied or dragged. */
export function offerMarkdown(data: DataTransfer | null, markdown: string): void {
  const html = clipboardHtml(markdown);
  data?.setData("text/plain", markdown);
  if (html !== null) data?.setData("text/html", html);
}

/** Copies both forms, from a click. False if the web view does not allow it. */
export function copyMarkdown(markdown: string): boolean {
  let isCopied = false;
  const fill = (event: ClipboardEvent) => {
    event.preventDefault();
    event.stopImmediatePropagation();
    offerMarkdown(event.clipboardData, markdown);
    isCopied = event.clipboardData !== null;
  };
  // The asynchronous clipboard needs a permission that web views deny; this needs only the click.
  document.addEventListener("copy", fill, { capture: true });
  try {
    document.execCommand("copy");
  } finally {
    document.removeEventListener("copy", fill, { capture: true });
  }
  return isCopied;
}
