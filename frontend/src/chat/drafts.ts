/** What is typed but not sent, per conversation; `null` is the chat that does not exist yet. */
import { type Signal, signal } from "@preact/signals";
import type { Commands } from "../api.gen";
import { BridgeError } from "../bridge";

export type Drafts = ReturnType<typeof createDrafts>;

const SAVE_AFTER_MS = 300;
/** Of the texts that were saved last, so that they are known when they come back. */
const REMEMBERED = 8;
/** Characters of a message, and of its draft, that the bridge takes. */
export const LONGEST_MESSAGE = 2_000_000;

export function createDrafts(api: Pick<Commands, "conversations">) {
  const texts = new Map<number | null, Signal<string>>();
  const unsaved = new Set<number | null>();
  /** What a row from Python may hold because it came from here; any other draft was put there by Python. */
  const known = new Map<number | null, string[]>();
  let timer: ReturnType<typeof setTimeout> | undefined;

  /** The draft's text; `stored` is what Python has, used the first time only. */
  function open(id: number | null, stored: string): Signal<string> {
    let text = texts.get(id);
    if (!text) {
      text = signal(stored);
      texts.set(id, text);
      remember(id, stored);
    }
    return text;
  }

  function remember(id: number | null, text: string): void {
    known.set(id, [...(known.get(id) ?? []), text].slice(-REMEMBERED));
  }

  /**
   * Python put something into the draft: what was said to an answer that ended before it was read. It goes
   * before what is typed.
   */
  function takeOver(id: number, stored: string): void {
    const text = texts.get(id);
    const last = known.get(id) ?? [];
    if (!text || stored === "" || stored === text.value || last.includes(stored)) return;
    remember(id, stored);
    // Python may have kept the draft that it knew behind what it put there.
    const own = [text.value, ...last].find((text) => text !== "" && stored.endsWith(`\n${text}`)) ?? "";
    const added = stored.slice(0, stored.length - own.length).trimEnd();
    if (added) change(id, text.value ? `${added}\n\n${text.value}` : added);
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

  /** The text was said to an answer that runs. Should it come back unread, that is news. */
  function clearSteering(id: number): void {
    known.set(id, [""]);
    clear(id);
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
      remember(id, text);
      try {
        await api.conversations.save_draft({ id, text });
        // Rows that come from now on were read after this.
        const last = known.get(id) ?? [];
        known.set(id, last.slice(last.lastIndexOf(text)));
      } catch (error) {
        if (!(error instanceof BridgeError)) throw error;
        // A deleted conversation needs no draft.
        if (error.code !== "not_found") unsaved.add(id);
      }
    }
  }

  return { open, change, clear, clearSteering, save, takeOver };
}
