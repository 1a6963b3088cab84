/** Whether there is a newer Deskside, and whether the user wants to hear of it now. No JSX, no DOM. */
import { computed, signal } from "@preact/signals";
import type { AppEvent, Commands, UpdateState } from "../api.gen";
import { BridgeError } from "../bridge";

export type Updates = ReturnType<typeof createUpdates>;

export function createUpdates(api: Pick<Commands, "updates">) {
  const state = signal<UpdateState | null>(null);
  /** The version that the user wants to hear of later: until the page is loaded again. */
  const putOff = signal<string | null>(null);
  const isOpen = signal(false);

  const newer = computed(() => state.value?.newer ?? null);
  /** What to tell of without being asked. */
  const news = computed(() => {
    const found = newer.value;
    return found && !found.is_skipped && found.version !== putOff.value ? found : null;
  });

  async function load(): Promise<void> {
    try {
      state.value = await api.updates.status();
    } catch (error) {
      // The socket dropped; the next reset asks again.
      if (!(error instanceof BridgeError)) throw error;
    }
  }

  function apply(event: AppEvent): void {
    if (event.type === "updates_changed") state.value = event.state;
  }

  /** Raises BridgeError. */
  async function look(): Promise<void> {
    putOff.value = null;
    state.value = await api.updates.look();
  }

  /** Raises BridgeError. */
  async function skip(version: string | null): Promise<void> {
    state.value = await api.updates.skip({ version });
  }

  function later(): void {
    putOff.value = newer.value?.version ?? null;
  }

  return { state, newer, news, isOpen, load, apply, look, skip, later };
}
