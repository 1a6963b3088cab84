/** A text that grows, as blocks: split incrementally, shown at most once a frame. */

import { effect, type ReadonlySignal } from "@preact/signals";
import { useContext, useEffect, useLayoutEffect, useReducer, useRef } from "preact/hooks";
import { DrawingContext } from "../ui/drawing";
import { type Block, BlockSplitter } from "./blocks";

export interface Blocks {
  readonly sealed: readonly Block[];
  /** The block that may still grow; null between blocks and when the text is complete. */
  readonly open: Block | null;
}

/** A growing text is recognised by its length and this many characters before the old end. */
const TAIL_CHARS = 64;
/** Below this, an update may happen in every frame. */
const CHEAP_MS = 4;
/** After an update of t ms the next one waits 3 t: at most a quarter of the main thread, whatever the block costs. */
const PAUSE_PER_COST = 3;

/** Splits the successive versions of one text, each only from where the last one ended. */
export class GrowingText {
  #splitter = new BlockSplitter();
  #text = "";
  #isFinished = false;

  blocks(text: string, isGrowing: boolean): Blocks {
    if (!this.#continues(text, isGrowing)) {
      this.#splitter = new BlockSplitter();
      this.#text = "";
      this.#isFinished = false;
    }
    if (text.length > this.#text.length) this.#splitter.append(text.slice(this.#text.length));
    this.#text = text;
    if (!isGrowing && !this.#isFinished) {
      this.#splitter.finish();
      this.#isFinished = true;
    }
    return { sealed: this.#splitter.sealed, open: this.#splitter.open };
  }

  #continues(text: string, isGrowing: boolean): boolean {
    const known = this.#text;
    if (this.#isFinished) return !isGrowing && text === known;
    // Comparing everything costs a pass over the text, so not for every delta.
    if (!isGrowing) return text.startsWith(known);
    return (
      text.length >= known.length &&
      text.startsWith(known.slice(-TAIL_CHARS), Math.max(0, known.length - TAIL_CHARS))
    );
  }
}

export function useBlocks(text: string | ReadonlySignal<string>, isGrowing: boolean): Blocks {
  const startedMs = performance.now();
  const drew = useContext(DrawingContext);
  const pace = useRef<Pace>({ notBeforeMs: 0, shown: "", isInFrame: false }).current;
  const growing = useRef<GrowingText>(null);
  const [, redraw] = useReducer((count: number) => count + 1, 0);
  growing.current ??= new GrowingText();
  pace.shown = typeof text === "string" ? text : text.peek();

  // Runs after the blocks have put their content in place, so this is what the update cost in script.
  useLayoutEffect(() => {
    const endedMs = performance.now();
    const costMs = endedMs - startedMs;
    pace.notBeforeMs = costMs < CHEAP_MS ? 0 : endedMs + PAUSE_PER_COST * costMs;
    drew?.(startedMs, pace.isInFrame);
    pace.isInFrame = false;
  });
  useEffect(
    () => (typeof text === "string" ? undefined : redrawOnChange(text, pace, () => redraw(undefined))),
    [text, pace],
  );

  return growing.current.blocks(pace.shown, isGrowing);
}

interface Pace {
  /** The next update may not start before this `performance.now()`. */
  notBeforeMs: number;
  shown: string;
  /** This rendering was asked for by a frame's callback, and is over before the frame is painted. */
  isInFrame: boolean;
}

/** Call `redraw` in the first frame in which it may, after the text differs from what is shown; returns how to stop. */
function redrawOnChange(text: ReadonlySignal<string>, pace: Pace, redraw: () => void): () => void {
  let frame = 0;
  const tick = () => {
    const mayDraw = performance.now() >= pace.notBeforeMs;
    frame = mayDraw ? 0 : requestAnimationFrame(tick);
    if (!mayDraw) return;
    pace.isInFrame = true;
    redraw();
  };
  const stop = effect(() => {
    if (text.value !== pace.shown && frame === 0) frame = requestAnimationFrame(tick);
  });
  return () => {
    stop();
    cancelAnimationFrame(frame);
  };
}
