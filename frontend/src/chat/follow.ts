/** Keeps the end of the transcript in view while it grows, until the reader scrolls up. */
import { useSignal } from "@preact/signals";
import type { RefObject } from "preact";
import { useEffect } from "preact/hooks";

/** Pixels from the end within which scrolling down takes up following again. */
const NEAR_END = 24;

export function useFollow(scroller: RefObject<HTMLElement | null>, content: RefObject<HTMLElement | null>) {
  const isFollowing = useSignal(true);

  const jump = () => {
    isFollowing.value = true;
    const element = scroller.current;
    if (element) element.scrollTop = element.scrollHeight;
  };

  useEffect(() => {
    const element = scroller.current;
    if (!element || !content.current) return;
    let lastTop = element.scrollTop;
    const onScroll = () => {
      const left = element.scrollHeight - element.scrollTop - element.clientHeight;
      const isDown = element.scrollTop > lastTop;
      // Content that shrinks also moves the top up, but leaves nothing below.
      if (element.scrollTop < lastTop && left > 1) isFollowing.value = false;
      else if (left <= 1 || (isDown && left <= NEAR_END)) isFollowing.value = true;
      lastTop = element.scrollTop;
    };
    const onWheel = (event: WheelEvent) => {
      if (event.deltaY < 0 && element.scrollHeight > element.clientHeight) isFollowing.value = false;
    };
    const observer = new ResizeObserver(() => {
      if (isFollowing.value) element.scrollTop = element.scrollHeight;
    });
    observer.observe(content.current);
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
