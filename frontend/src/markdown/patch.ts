/**
 * Bring an element's content to new HTML by changing only what differs.
 *
 * Text that grows keeps its nodes: a selection, the scroll position of a wide table and the focus survive,
 * and the engine lays out the end of the block instead of all of it.
 */

import { type SafeHtml, setContent } from "./sanitize";

export function patchContent(element: Element, html: SafeHtml): void {
  const template = document.createElement("template");
  setContent(template, html);
  patchChildren(element, template.content);
}

function patchChildren(target: Element, source: ParentNode & Node): void {
  let old = target.firstChild;
  let next = source.firstChild;
  while (next !== null) {
    const following = next.nextSibling;
    if (old === null) target.append(next);
    else {
      const successor: ChildNode | null = old.nextSibling;
      patchNode(old, next);
      old = successor;
    }
    next = following;
  }
  while (old !== null) {
    const successor: ChildNode | null = old.nextSibling;
    old.remove();
    old = successor;
  }
}

function patchNode(old: ChildNode, next: ChildNode): void {
  if (old.isEqualNode(next)) return;
  if (old instanceof Text && next instanceof Text) patchText(old, next.data);
  else if (old instanceof Element && next instanceof Element && haveSameTag(old, next))
    patchChildren(old, next);
  else old.replaceWith(next);
}

function haveSameTag(old: Element, next: Element): boolean {
  return old.cloneNode().isEqualNode(next.cloneNode());
}

function patchText(old: Text, data: string): void {
  if (data.startsWith(old.data)) old.appendData(data.slice(old.data.length));
  else old.data = data;
}
