/** What is typed but not sent, per conversation; `null` is the chat that does not exist yet. */
import { type Signal, signal } from "@preact/signals";
import type { Commands } from "../api.gen";
import { BridgeError } from "../bridge";

export type Drafts = ReturnType<typeof createDrafts>;

const SAVE_AFTER_MS = 300;
/** Characters of a message, and of its draft, that the bridge takes. */
export const LONGEST_MESSAGE = 2_000_000;

export function createDrafts(api: Pick<Commands, "conversations">) {
  const texts = new Map<number | null, Signal<string>>();
  const unsaved = new Set<number | null>();
  let timer: ReturnType<typeof setTimeout> | undefined;

  /** The draft's text; `stored` is what Python has, used the first time only. */
  function open(id: number | null, stored: string): Signal<string> {
    const text = texts.get(id) ?? signal(stored);
    texts.set(id, text);
    return text;
  }

  function change(id: number | null, text: string): void {
    open(id, "").value = text;
    unsaved.add(id);
    clearTimeout(timer);
    timer = setTimeout(() => void save(), SAVE_AFTER_MS);
  }

  /** The text was sent. */
  function clear(id: number | null): void {
    change(id, "");
    void save();
  }

  /** Save what is unsaved now. What could not be saved is tried again with the next change. */
  async function save(): Promise<void> {
    clearTimeout(timer);
    const ids = [...unsaved];
    unsaved.clear();
    for (const id of ids) {
      const text = texts.get(id)?.value ?? "";
      // It would be refused; the composer says so when it is to be sent.
      if (text.length > LONGEST_MESSAGE) continue;
      try {
        await api.conversations.save_draft({ id, text });
      } catch (error) {
        if (!(error instanceof BridgeError)) throw error;
        // A deleted conversation needs no draft.
        if (error.code !== "not_found") unsaved.add(id);
      }
    }
  }

  return { open, change, clear, save };
}
