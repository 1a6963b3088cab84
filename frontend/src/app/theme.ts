/** Light or dark on <html data-theme>: what the user chose, else what the system has now. */
import { effect, type ReadonlySignal, signal } from "@preact/signals";
import type { Settings } from "../api.gen";

export function followTheme(settings: ReadonlySignal<Settings | null>): void {
  const media = matchMedia("(prefers-color-scheme: dark)");
  const isSystemDark = signal(media.matches);
  media.addEventListener("change", () => {
    isSystemDark.value = media.matches;
  });
  effect(() => {
    const chosen = settings.value?.theme ?? "system";
    document.documentElement.dataset.theme =
      chosen === "system" ? (isSystemDark.value ? "dark" : "light") : chosen;
  });
}
