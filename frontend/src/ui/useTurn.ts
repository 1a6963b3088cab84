import type { RefObject } from "preact";
import { useLayoutEffect, useState } from "preact/hooks";
import { distanceFromView, slices } from "./slices";

/** True from the start, or once it is the turn of the element's content among all that may wait. */
export function useTurn(element: RefObject<Element | null>, mayWait: boolean): boolean {
  const [isShown, setShown] = useState(!mayWait);
  useLayoutEffect(() => {
    if (isShown) return undefined;
    const work = { distance: () => distanceFromView(element.current), show: () => setShown(true) };
    slices.add(work);
    return () => slices.delete(work);
  }, [isShown]);
  return isShown;
}
