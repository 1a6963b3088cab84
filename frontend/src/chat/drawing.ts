/** How long a reply takes to be drawn, from its first drawing until all of it is on the screen. No JSX, no DOM. */
import type { Commands } from "../api.gen";
import type { Screen } from "../ui/drawing";

export type Shown = Omit<Parameters<Commands["recordings"]["shown"]>[0], "run_id">;
export type Meter = ReturnType<typeof createMeter>;

/** `report` hears of it once, unless the page was hidden at the end: then nobody waited for it. */
export function createMeter(screen: Screen, report: (shown: Shown) => void) {
  let drawings = 0;
  let drawingMs = 0;
  let longestMs = 0;
  /** Script since the last painting. */
  let scriptMs = 0;
  /** Until then, script is counted: a component is in the one that drew it. */
  let countedMs = 0;
  let isPainting = false;
  /** Something was drawn that the painting under way may not show. */
  let isBehind = false;
  let end: { atMs: number; changes: number } | null = null;

  function drew(startedMs: number, isInFrame: boolean): void {
    const now = screen.now();
    scriptMs += now - Math.max(startedMs, countedMs);
    countedMs = now;
    if (isPainting) isBehind = true;
    else paint(isInFrame);
  }

  function paint(isInFrame: boolean): void {
    isPainting = true;
    if (isInFrame) settle();
    else screen.nextFrame(settle);
  }

  /** What is in its place now is in the frame. */
  function settle(): void {
    isBehind = false;
    const startedMs = screen.now();
    const ms = scriptMs;
    scriptMs = 0;
    // Script that came in between is part of the next drawing.
    screen.painted(() => note(ms + screen.now() - startedMs - scriptMs));
  }

  function note(ms: number): void {
    isPainting = false;
    drawings += 1;
    drawingMs += ms;
    longestMs = Math.max(longestMs, ms);
    if (isBehind) paint(false);
    else if (end) tell(end);
  }

  /** The run is over, and what is drawn next is all of it. */
  function finish(atMs: number): void {
    if (!screen.isHidden()) end = { atMs, changes: screen.changes() };
  }

  function tell({ atMs, changes }: { atMs: number; changes: number }): void {
    if (changes !== screen.changes()) return;
    report({
      after_ms: Math.round(screen.now() - atMs),
      drawings,
      drawing_ms: Math.round(drawingMs),
      longest_ms: Math.round(longestMs),
    });
    end = null;
  }

  return { drew, finish };
}
