/** Code blocks, copied by their button or dragged by their head. */

import { escapeHtml } from "./html";

const NOTE_MS = 2_000;

/** Copy the code that `button` belongs to and say on the button how that went. */
export async function copyCode(button: Element): Promise<void> {
  const code = button.closest(".md-code")?.querySelector("code");
  if (!code) return;
  if (await copyText(textOf(code))) return note(button, "Copied");
  // The reader can still do it by hand.
  getSelection()?.selectAllChildren(code);
  note(button, "Selected: press Ctrl+C or ⌘C");
}

/** Drags the code that `head` belongs to. */
export function dragCode(head: Element, data: DataTransfer | null): void {
  const code = head.closest(".md-code")?.querySelector("code");
  if (!code || data === null) return;
  const text = textOf(code);
  data.setData("text/plain", text);
  data.setData("text/html", `<pre><code>${escapeHtml(text)}</code></pre>`);
  data.effectAllowed = "copy";
}

/** The chunks of long code are blocks: between them there is no line break in the text. */
function textOf(code: Element): string {
  const chunks = [...code.querySelectorAll(".md-lines")];
  return chunks.length > 0
    ? chunks.map(({ textContent }) => textContent).join("\n")
    : (code.textContent ?? "");
}

/**
 * Put text on the clipboard from a click. False if the web view allows neither way.
 *
 * The asynchronous clipboard needs a permission that some web views deny; the old command needs only the click.
 */
export async function copyText(text: string): Promise<boolean> {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    // Denied (NotAllowedError), or not there outside a secure context (TypeError).
    return copyBySelection(text);
  }
}

function copyBySelection(text: string): boolean {
  const focused = document.activeElement;
  const area = document.createElement("textarea");
  area.value = text;
  area.readOnly = true;
  area.className = "md-clipboard";
  area.setAttribute("aria-hidden", "true");
  document.body.append(area);
  area.select();
  const copied = document.execCommand("copy");
  area.remove();
  if (focused instanceof HTMLElement) focused.focus({ preventScroll: true });
  return copied;
}

/** The label changes with the text, because that is what a screen reader says. */
function note(button: Element, text: string): void {
  const label = button.getAttribute("aria-label") ?? "";
  const caption = button.textContent ?? "";
  if (button.classList.contains("md-noted")) return;
  button.classList.add("md-noted");
  button.setAttribute("aria-label", text);
  button.textContent = text;
  setTimeout(() => {
    button.classList.remove("md-noted");
    button.setAttribute("aria-label", label);
    button.textContent = caption;
  }, NOTE_MS);
}
