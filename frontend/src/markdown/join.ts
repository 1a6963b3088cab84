/** Puts a following piece of a list or a table on the page, into what the piece before it began. */

import { type SafeHtml, setContent } from "./sanitize";

/** Returns what was added: rows or items to the list or table that `element` ends with, else all of it after that. */
export function appendPiece(element: Element, html: SafeHtml): ChildNode[] {
  const template = document.createElement("template");
  setContent(template, html);
  const { content } = template;
  const into = holderOf(element.lastElementChild);
  const from = content.childElementCount === 1 ? holderOf(content.firstElementChild) : null;
  const isOne = into !== null && from !== null && into.tagName === from.tagName;
  // Each piece of a table repeats its header.
  const nodes = isOne
    ? [...from.childNodes].filter(({ nodeName }) => nodeName !== "THEAD")
    : [...content.childNodes];
  (isOne ? into : element).append(...nodes);
  return nodes;
}

function holderOf(element: Element | null): Element | null {
  if (element?.matches("ul, ol")) return element;
  return element?.matches(".md-table") ? element.querySelector(":scope > table") : null;
}
