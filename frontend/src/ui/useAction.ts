/** A button's action: whether it is under way, and why it did not work. */
import { type Signal, useSignal } from "@preact/signals";
import { BridgeError } from "../bridge";

export interface Action {
  isBusy: Signal<boolean>;
  problem: Signal<BridgeError | null>;
  /** True when it worked. */
  run(action: () => Promise<unknown>): Promise<boolean>;
}

export function useAction(): Action {
  const isBusy = useSignal(false);
  const problem = useSignal<BridgeError | null>(null);
  const run = async (action: () => Promise<unknown>) => {
    isBusy.value = true;
    problem.value = null;
    try {
      await action();
      return true;
    } catch (error) {
      if (!(error instanceof BridgeError)) throw error;
      problem.value = error;
      return false;
    } finally {
      isBusy.value = false;
    }
  };
  return { isBusy, problem, run };
}
