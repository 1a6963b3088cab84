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

export function useFollow(scroller: RefObject<HTMLElement | null>, content: RefObject<HTMLElement | null>) {
  const isFollowing = useSignal(true);
  /** Where the page itself last put the scroller: moving there is not the reader's doing. */
  const lastTop = useRef(0);

  const moveTo = (element: HTMLElement, top: number) => {
    element.scrollTop = top;
    lastTop.current = element.scrollTop;
  };
  const jump = () => {
    isFollowing.value = true;
    if (scroller.current) moveTo(scroller.current, scroller.current.scrollHeight);
  };

  useEffect(() => {
    const element = scroller.current;
    const list = content.current;
    if (!element || !list) return;
    let anchor: { child: Element; top: number } | null = null;

    const topOf = (child: Element) => child.getBoundingClientRect().top - element.getBoundingClientRect().top;
    const holdFirstInView = () => {
      const child = firstInView(list, element.getBoundingClientRect().top);
      anchor = child ? { child, top: topOf(child) } : null;
    };
    const onScroll = () => {
      const left = element.scrollHeight - element.scrollTop - element.clientHeight;
      if (element.scrollTop < lastTop.current && left > 1) isFollowing.value = false;
      else if (element.scrollTop > lastTop.current && left <= NEAR_END) isFollowing.value = true;
      lastTop.current = element.scrollTop;
      if (!isFollowing.value) holdFirstInView();
    };
    const onWheel = (event: WheelEvent) => {
      if (event.deltaY < 0 && element.scrollHeight > element.clientHeight) isFollowing.value = false;
    };
    // Runs after layout and before paint: nothing is seen to jump.
    const observer = new ResizeObserver(() => {
      if (isFollowing.value) moveTo(element, element.scrollHeight);
      else if (anchor?.child.isConnected)
        moveTo(element, element.scrollTop + topOf(anchor.child) - anchor.top);
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

  return { isFollowing, jump };
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
