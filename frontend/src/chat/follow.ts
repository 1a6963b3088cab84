/**
 * Where the transcript stands while it grows.
 *
 * At the end it follows, until the reader scrolls up. Above the end it holds still: the first block in
 * view keeps its place when older messages appear above it, or when something above it changes its height.
 * (Chromium anchors by itself, WebKit does not; the style sheet turns the one off so that both do this.)
 */
import { useSignal } from "@preact/signals";
import type { RefObject } from "preact";
import { useEffect, useRef } from "preact/hooks";

/** Pixels from the end within which scrolling down takes up following again. */
const NEAR_END = 24;

interface Options {
  /** There is more below what is loaded, so its bottom is not the end. */
  hasNewer(): boolean;
}

export function useFollow(
  scroller: RefObject<HTMLElement | null>,
  content: RefObject<HTMLElement | null>,
  { hasNewer }: Options,
) {
  const isFollowing = useSignal(!hasNewer());
  /** Where the page itself last put the scroller: moving there is not the reader's doing. */
  const lastTop = useRef(0);
  /** What keeps its place, and where in the view that is. */
  const anchor = useRef<{ child: Element; top: number } | null>(null);

  const moveTo = (element: HTMLElement, top: number) => {
    element.scrollTop = top;
    lastTop.current = element.scrollTop;
  };
  const jump = () => {
    isFollowing.value = true;
    if (scroller.current) moveTo(scroller.current, scroller.current.scrollHeight);
  };
  /** Hold this a third of the way down, whatever appears above it, until the reader scrolls. */
  const goTo = (child: Element) => {
    const element = scroller.current;
    if (!element) return;
    isFollowing.value = false;
    const top = element.clientHeight / 3;
    anchor.current = { child, top };
    const now = child.getBoundingClientRect().top - element.getBoundingClientRect().top;
    moveTo(element, element.scrollTop + now - top);
  };

  useEffect(() => {
    const element = scroller.current;
    const list = content.current;
    if (!element || !list) return;
    const topOf = (child: Element) => child.getBoundingClientRect().top - element.getBoundingClientRect().top;
    const holdFirstInView = () => {
      const child = firstInView(list, element.getBoundingClientRect().top);
      anchor.current = child ? { child, top: topOf(child) } : null;
    };
    const onScroll = () => {
      const left = element.scrollHeight - element.scrollTop - element.clientHeight;
      if (element.scrollTop < lastTop.current && left > 1) isFollowing.value = false;
      else if (element.scrollTop > lastTop.current && left <= NEAR_END && !hasNewer())
        isFollowing.value = true;
      // What was gone to stays the measure while the page itself moves.
      const isReader = element.scrollTop !== lastTop.current;
      lastTop.current = element.scrollTop;
      if (!isFollowing.value && isReader) holdFirstInView();
    };
    const onWheel = (event: WheelEvent) => {
      if (event.deltaY < 0 && element.scrollHeight > element.clientHeight) isFollowing.value = false;
    };
    // Runs after layout and before paint: nothing is seen to jump.
    const observer = new ResizeObserver(() => {
      if (isFollowing.value) moveTo(element, element.scrollHeight);
      else if (anchor.current?.child.isConnected)
        moveTo(element, element.scrollTop + topOf(anchor.current.child) - anchor.current.top);
    });
    observer.observe(list);
    observer.observe(element);
    element.addEventListener("scroll", onScroll, { passive: true });
    element.addEventListener("wheel", onWheel, { passive: true });
    return () => {
      observer.disconnect();
      element.removeEventListener("scroll", onScroll);
      element.removeEventListener("wheel", onWheel);
    };
  }, []);

  /** Whether this is what is held: the reader has not scrolled since. */
  const isHeld = (child: Element) => !isFollowing.value && anchor.current?.child === child;

  return { isFollowing, jump, goTo, isHeld };
}

/** From the outside in: to ask for the place of what is out of view would make the engine lay it out. */
const LEVELS = [".message", ".md-group", ".md-block"];

/** The smallest thing that ends below `edge`: a block, or the message or group where there is none. */
function firstInView(list: Element, edge: number): Element | null {
  let found: Element | null = null;
  for (const level of LEVELS) {
    const inside: Element | undefined = [...(found ?? list).querySelectorAll(level)].find(
      (child) => child.getBoundingClientRect().bottom > edge,
    );
    if (inside === undefined) break;
    found = inside;
  }
  return found;
}
