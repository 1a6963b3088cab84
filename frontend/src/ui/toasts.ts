/** Short messages at the edge of the window: something went wrong, or can be undone. */
import { signal } from "@preact/signals";
import { BridgeError } from "../bridge";

export interface Toast {
  id: number;
  level: "info" | "warning" | "error";
  message: string;
  hint: string;
  /** The request that failed, where there was one. */
  requestId?: string;
  action?: { label: string; run(): void };
  /** The conversations that the action would bring back. */
  restores?: readonly number[];
}

export type Toasts = ReturnType<typeof createToasts>;

const SHOWN_MS = 8_000;
const AT_ONCE = 3;

export function createToasts() {
  const shown = signal<Toast[]>([]);
  let lastId = 0;

  function show(toast: Omit<Toast, "id">): void {
    const id = ++lastId;
    shown.value = [...shown.value, { ...toast, id }].slice(-AT_ONCE);
    // An error stays until it is read.
    if (toast.level !== "error") setTimeout(() => dismiss(id), SHOWN_MS);
  }

  function dismiss(id: number): void {
    shown.value = shown.value.filter((toast) => toast.id !== id);
  }

  /** What can no longer be undone is not offered: some of these conversations, or all, were deleted for good. */
  function forgetRestoring(gone: readonly number[] | "all"): void {
    const isGone = (id: number) => gone === "all" || gone.includes(id);
    shown.value = shown.value.filter(({ restores }) => !restores?.some(isGone));
  }

  /** Run an action; if Python refuses, say why. Returns whether it worked. */
  async function attempt(action: () => Promise<unknown>): Promise<boolean> {
    try {
      await action();
      return true;
    } catch (error) {
      if (!(error instanceof BridgeError)) throw error;
      show({ level: "error", message: error.message, hint: error.hint, requestId: error.requestId });
      return false;
    }
  }

  return { shown, show, dismiss, forgetRestoring, attempt };
}
