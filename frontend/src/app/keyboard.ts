/** Keyboard shortcuts of the whole window. */

import type { MenuChosen } from "../api.gen";

export interface Shortcut {
  keys: string;
  label: string;
}

const isMac = /mac/i.test(navigator.userAgent);
/** The name of the main modifier on this keyboard. */
export const MOD = isMac ? "⌘" : "Ctrl";

const withMod = (key: string) => (isMac ? `⌘${key}` : `Ctrl+${key}`);

export const SHORTCUTS = {
  newChat: { keys: withMod("N"), label: "New chat" },
  search: { keys: withMod("F"), label: "Search all conversations" },
  chooseModel: { keys: withMod("K"), label: "Choose a model" },
  settings: { keys: withMod(","), label: "Settings" },
  sidebar: { keys: withMod("B"), label: "Show or hide the sidebar" },
  help: { keys: withMod("/"), label: "Keyboard shortcuts" },
  zoomIn: { keys: withMod("+"), label: "Larger" },
  zoomOut: { keys: withMod("-"), label: "Smaller" },
  zoomReset: { keys: withMod("0"), label: "Usual size" },
} satisfies Record<MenuChosen["choice"], Shortcut>;

/** Shortcuts that belong to one part, for the list of all. */
export const LOCAL_SHORTCUTS: Shortcut[] = [
  { keys: "Enter", label: "Send the message" },
  { keys: "Enter, during an answer", label: "Add the message to the answer" },
  { keys: "Shift+Enter", label: "Start a new line" },
  { keys: "Esc", label: "Stop the answer, or close what is open" },
  { keys: "↑ ↓", label: "Move in the conversation list" },
  { keys: "F2", label: "Rename the conversation" },
  { keys: "Delete", label: "Delete the conversation" },
];

export type ShortcutName = keyof typeof SHORTCUTS;

const NAMES: Record<string, ShortcutName> = {
  n: "newChat",
  f: "search",
  k: "chooseModel",
  ",": "settings",
  b: "sidebar",
  "/": "help",
  "+": "zoomIn",
  // Where + needs Shift, its key without Shift is meant as well.
  "=": "zoomIn",
  "-": "zoomOut",
  "0": "zoomReset",
};

/** Which shortcut an event is, if any. */
export function shortcutOf(event: KeyboardEvent): ShortcutName | null {
  const isModified = isMac ? event.metaKey && !event.ctrlKey : event.ctrlKey && !event.metaKey;
  if (!isModified || event.altKey || event.isComposing) return null;
  return NAMES[event.key.toLowerCase()] ?? null;
}
