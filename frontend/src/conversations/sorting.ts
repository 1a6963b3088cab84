/** The folders and tags that conversations are sorted by. No JSX, no DOM. */
import { signal } from "@preact/signals";
import type { Commands, Sorting } from "../api.gen";
import { BridgeError } from "../bridge";

export type ConversationSorting = ReturnType<typeof createSorting>;

export function createSorting(api: Pick<Commands, "sorting">) {
  const overview = signal<Sorting>({ folders: [], tags: [] });

  async function load(): Promise<void> {
    try {
      overview.value = await api.sorting.overview();
    } catch (error) {
      // The socket dropped; the next event or reset asks again.
      if (!(error instanceof BridgeError)) throw error;
    }
  }

  const folderName = (id: number | null) => overview.value.folders.find((each) => each.id === id)?.name;

  return { overview, load, folderName };
}
