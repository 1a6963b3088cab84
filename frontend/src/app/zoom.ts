/** The sizes that the page can be shown in, in percent: those of browsers. */
const SIZES = [50, 67, 75, 80, 90, 100, 110, 125, 150, 175, 200, 250, 300] as const;
export const USUAL_ZOOM = 100;

/** The next larger (1) or smaller (-1) size; the last one is its own next. */
export function zoomAfter(now: number, step: 1 | -1): number {
  const next = step > 0 ? SIZES.find((size) => size > now) : SIZES.findLast((size) => size < now);
  return next ?? now;
}
