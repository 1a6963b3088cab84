/** Measuring what it costs to draw a part of the page: the main thread's time until it is on the screen. */
import { createContext } from "preact";
import { useContext, useLayoutEffect } from "preact/hooks";

/** Something was put in its place; the script for it began at `startedMs`. `isInFrame`: in a frame's callback. */
export type Drew = (startedMs: number, isInFrame: boolean) => void;

/** Who wants to hear of what is drawn below. */
export const DrawingContext = createContext<Drew | null>(null);

/** Tells of each rendering of the component that calls this first, with all that is in it. */
export function useDrawn(): void {
  const drew = useContext(DrawingContext);
  const startedMs = performance.now();
  useLayoutEffect(() => drew?.(startedMs, false));
}

/** The time, and the screen, as a meter needs them. */
export interface Screen {
  /** Milliseconds; only differences mean something. */
  now(): number;
  /** Call back when the next frame is about to be drawn. */
  nextFrame(callback: () => void): void;
  /** In a frame's callback: call back once the frame is painted. */
  painted(callback: () => void): void;
  /** How often the page was hidden or shown so far: while it is hidden nothing is painted. */
  changes(): number;
  isHidden(): boolean;
}

let changes = 0;
globalThis.document?.addEventListener("visibilitychange", () => {
  changes += 1;
});

export const realScreen: Screen = {
  now: () => performance.now(),
  nextFrame: (callback) => void requestAnimationFrame(callback),
  painted(callback) {
    // A message that is posted in a frame's callback arrives after the frame.
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = () => {
      port1.close();
      callback();
    };
    port2.postMessage(null);
  },
  changes: () => changes,
  isHidden: () => document.hidden,
};
