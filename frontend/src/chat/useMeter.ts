import { useLayoutEffect, useRef } from "preact/hooks";
import type { MessageRow } from "../api.gen";
import { type Drew, realScreen } from "../ui/drawing";
import { createMeter, type Meter, type Shown } from "./drawing";

/** Measures how a reply is drawn while it comes, for each run of it; null while none goes on. */
export function useMeter(row: MessageRow, report: (runId: number, shown: Shown) => void): Drew | null {
  const startedMs = realScreen.now();
  const { run_id: runId, status } = row;
  const metered = useRef<{ runId: number; meter: Meter } | null>(null);
  if (status === "streaming" && runId !== null && metered.current?.runId !== runId) {
    metered.current = { runId, meter: createMeter(realScreen, (shown) => report(runId, shown)) };
  }
  const meter = metered.current?.meter ?? null;
  useLayoutEffect(() => {
    meter?.drew(startedMs, false);
    // This rendering follows at once when the page hears of the end.
    if (status !== "streaming" && metered.current) {
      meter?.finish(startedMs);
      metered.current = null;
    }
  });
  return meter?.drew ?? null;
}
