/** Buttons that cannot be pressed by accident, because something appeared under the pointer or the key. */
import { type ReadonlySignal, useSignal } from "@preact/signals";
import type { RefObject } from "preact";
import { useEffect } from "preact/hooks";

/** Nobody reads and decides faster. */
export const ARMED_AFTER_MS = 400;

/** Whether what is in `area` may be pressed: once it has been in view for a moment. */
export function useArmed(area: RefObject<HTMLElement | null>): ReadonlySignal<boolean> {
  const isArmed = useSignal(false);
  useEffect(() => {
    let timer: ReturnType<typeof setTimeout> | undefined;
    const disarm = () => {
      clearTimeout(timer);
      isArmed.value = false;
    };
    const arm = () => {
      disarm();
      timer = setTimeout(() => {
        isArmed.value = true;
      }, ARMED_AFTER_MS);
    };
    // It may also come into view by a scroll, or with the window.
    const observer = new IntersectionObserver((entries) => {
      if (entries.at(-1)?.isIntersecting) arm();
      else disarm();
    });
    const onVisible = () => {
      if (document.visibilityState === "visible") arm();
    };
    arm();
    if (area.current) observer.observe(area.current);
    document.addEventListener("visibilitychange", onVisible);
    return () => {
      clearTimeout(timer);
      observer.disconnect();
      document.removeEventListener("visibilitychange", onVisible);
    };
  }, [area]);
  return isArmed;
}
