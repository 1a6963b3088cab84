/** What Diagnostics shows of the machine: live samples while it is open, or the history. */
import { signal } from "@preact/signals";
import type { AllTimings, Bucket, Commands, Sample } from "../api.gen";
import { BridgeError } from "../bridge";
import type { Point } from "./chart";

export type Span = "live" | "day" | "week" | "month";
export type Series = Exclude<keyof Sample, "at_ms">;

/** `begins` is what stands at the left end of a chart. */
export const SPANS: Record<Span, { label: string; hours: number; begins: string }> = {
  live: { label: "Live", hours: 1 / 20, begins: "3 minutes ago" },
  day: { label: "Day", hours: 24, begins: "a day ago" },
  week: { label: "Week", hours: 7 * 24, begins: "a week ago" },
  month: { label: "30 days", hours: 30 * 24, begins: "30 days ago" },
};
export const HOUR_MS = 3_600_000;

const SAMPLES_KEPT = 720;

export function createFigures(api: Commands) {
  const samples = signal<Sample[]>([]);
  const timings = signal<AllTimings | null>(null);
  const span = signal<Span>("live");
  const history = signal<Bucket[]>([]);
  const problem = signal<BridgeError | null>(null);
  let watching: AbortController | null = null;

  /** Follow until `stop`. The socket may drop meanwhile; the next one begins with all samples again. */
  async function follow(): Promise<void> {
    watching?.abort();
    const own = new AbortController();
    watching = own;
    while (!own.signal.aborted) {
      try {
        let isFirst = true;
        for await (const update of api.diagnostics.metrics({ signal: own.signal })) {
          samples.value = [...(isFirst ? [] : samples.value), ...update.samples].slice(-SAMPLES_KEPT);
          timings.value = update.timings;
          problem.value = null;
          isFirst = false;
        }
        return;
      } catch (error) {
        if (!(error instanceof BridgeError)) throw error;
        if (own.signal.aborted) return;
        if (error.code !== "disconnected") {
          problem.value = error;
          return;
        }
      }
    }
  }

  function stop(): void {
    watching?.abort();
    watching = null;
  }

  async function show(chosen: Span): Promise<void> {
    span.value = chosen;
    if (chosen === "live") return;
    try {
      const found = await api.diagnostics.history({ hours: SPANS[chosen].hours });
      if (span.value === chosen) history.value = found;
      problem.value = null;
    } catch (error) {
      if (!(error instanceof BridgeError)) throw error;
      problem.value = error;
    }
  }

  return { samples, timings, span, history, problem, follow, stop, show };
}

export type Figures = ReturnType<typeof createFigures>;

export function livePoints(samples: Sample[], series: Series): Point[] {
  return samples.flatMap(({ at_ms, [series]: value }) => (value === null ? [] : [{ at: at_ms, value }]));
}

export function pastPoints(history: Bucket[], series: Series): Point[] {
  return history.flatMap(({ at_ms, series: ranges }) => {
    const range = ranges[series];
    return range ? [{ at: at_ms, value: range.mean, low: range.min, high: range.max }] : [];
  });
}
