/**
 * Work that may wait, done a few milliseconds a frame: what is in view or near it first.
 *
 * A page of messages, or a text of hundreds of blocks, would otherwise hold up the window. Nothing here needs a frame to come:
 * a hidden page gets none, and goes on by the clock in longer slices.
 */

export interface Waiting {
  /** Pixels from the view, 0 inside it; Infinity where nobody can see it. */
  distance(): number;
  /** Do the work, or a piece of it and come again. What it leaves to a microtask still counts for the slice. */
  show(): void;
}

export interface Clock {
  now(): number;
  isHidden(): boolean;
  /** Call `run` once, before the next frame is drawn, or soon where none is drawn. */
  atNextFrame(run: () => void): void;
}

/** Half a frame at 60 Hz: the other half is for layout, paint and the reader's own doing. */
const SLICE_MS = 8;
/** Nobody waits for a frame of a hidden page, and its timers come once a second. */
const HIDDEN_SLICE_MS = 50;
/** Without a frame for this long there will be none. */
const NO_FRAME_MS = 200;

export class Slices {
  readonly #clock: Clock;
  readonly #waiting = new Set<Waiting>();
  #isScheduled = false;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  add(work: Waiting): void {
    this.#waiting.add(work);
    this.#schedule();
  }

  delete(work: Waiting): void {
    this.#waiting.delete(work);
  }

  #schedule(): void {
    if (this.#isScheduled || this.#waiting.size === 0) return;
    this.#isScheduled = true;
    this.#clock.atNextFrame(() => void this.#run());
  }

  async #run(): Promise<void> {
    const untilMs = this.#clock.now() + (this.#clock.isHidden() ? HIDDEN_SLICE_MS : SLICE_MS);
    for (const work of this.#nearestFirst()) {
      // It may have gone since the slice began.
      if (!this.#waiting.delete(work)) continue;
      work.show();
      // Preact renders in a microtask; the next one of ours comes after it.
      await null;
      if (this.#clock.now() >= untilMs) break;
    }
    this.#isScheduled = false;
    this.#schedule();
  }

  /** Of what is equally far, the last first: a conversation is read from its end. */
  #nearestFirst(): Waiting[] {
    return [...this.#waiting]
      .reverse()
      .map((work) => ({ work, distance: work.distance() }))
      .sort((a, b) => (a.distance === b.distance ? 0 : a.distance - b.distance))
      .map(({ work }) => work);
  }
}

const pageClock: Clock = {
  now: () => performance.now(),
  isHidden: () => document.hidden,
  atNextFrame(run) {
    const start = () => {
      cancelAnimationFrame(frame);
      clearTimeout(timer);
      run();
    };
    const frame = requestAnimationFrame(start);
    const timer = setTimeout(start, NO_FRAME_MS);
  },
};

/** The page's one queue: two long texts share the frame. */
export const slices = new Slices(pageClock);

/** What `Waiting.distance` says of work whose result is this element's content. */
export function distanceFromView(element: Element | null): number {
  // Asking for a place inside what the engine leaves out would make it lay that out. An engine that leaves nothing
  // out (WebKit before Safari 17.4) has no `checkVisibility` either.
  const isLaidOut = element?.checkVisibility?.({ contentVisibilityAuto: true }) ?? true;
  if (element === null || !isLaidOut) return Number.POSITIVE_INFINITY;
  const { top, bottom } = element.getBoundingClientRect();
  return Math.max(0, -bottom, top - innerHeight);
}
