/** Where an error is put right, by its code. */
import type { App } from "../app/app";

export interface Remedy {
  label: string;
  run(): void;
}

export function remedyFor(code: string, app: App, chooseModel: () => void): Remedy | null {
  switch (code) {
    case "no_key":
    case "bad_key":
    case "keychain_unavailable":
      return { label: "Open keys", run: () => app.openSettings("keys") };
    case "no_model":
    case "unknown_model":
    case "context_too_long":
      return { label: "Choose a model", run: chooseModel };
    case "offline":
    case "went_offline":
      return { label: "Go online", run: () => void app.setOffline(false) };
    case "device_model_error":
      return { label: "Open on-device model", run: () => app.openSettings("device") };
    default:
      return null;
  }
}
