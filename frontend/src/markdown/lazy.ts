/** Parts of the page that are fetched when a text first needs them. */

import { signal } from "@preact/signals";

/** Counts the parts that have arrived; what was rendered without one of them is rendered again. */
export const arrivals = signal(0);

/**
 * A getter that starts loading at its first call and returns null until the part is there.
 *
 * A part that cannot be loaded stays null; the rejection is left to the window's `unhandledrejection` reporter.
 */
export function lazily<T>(load: () => Promise<T>): () => T | null {
  let part: T | null = null;
  let isLoading = false;
  return () => {
    if (!isLoading) {
      isLoading = true;
      void load().then((loaded) => {
        part = loaded;
        arrivals.value += 1;
      });
    }
    return part;
  };
}
