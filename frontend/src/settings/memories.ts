/** What the assistant remembers, as the settings show it. No JSX, no DOM. */
import { signal } from "@preact/signals";
import type { Commands, MemoryRow } from "../api.gen";
import { BridgeError } from "../bridge";

export type Memories = ReturnType<typeof createMemories>;

// As the bridge takes it.
export const LONGEST_MEMORY = 1000;

export function createMemories(api: Pick<Commands, "memories">) {
  const list = signal<MemoryRow[] | null>(null);
  const loadProblem = signal<BridgeError | null>(null);

  async function load(): Promise<void> {
    try {
      list.value = await api.memories.list();
      loadProblem.value = null;
    } catch (error) {
      if (!(error instanceof BridgeError)) throw error;
      loadProblem.value = error;
    }
  }

  /** Raises BridgeError: the form that called says why. */
  async function change(id: number, text: string): Promise<void> {
    const changed = await api.memories.change({ id, text });
    list.value = list.value?.map((row) => (row.id === id ? changed : row)) ?? null;
  }

  /** Raises BridgeError, as `change`. */
  async function forget(id: number): Promise<void> {
    await api.memories.delete({ id });
    list.value = list.value?.filter((row) => row.id !== id) ?? null;
  }

  return { list, loadProblem, load, change, forget };
}
