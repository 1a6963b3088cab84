/** Where the points of a chart are. The drawing is 100 wide and 100 high, whatever size it is shown at. */

/** `low` and `high` where the point stands for several values. */
export interface Point {
  at: number;
  value: number;
  low?: number;
  high?: number;
}

/** What is shown: times in ms, values from 0 to `top`. Points further apart than `gap` are not joined. */
export interface Frame {
  from: number;
  to: number;
  top: number;
  gap: number;
}

const STEPS = [1, 1.5, 2, 3, 4, 5, 6, 8, 10];

/** The next round number; 1 for nothing. */
export function roundedUp(value: number): number {
  if (!(value > 0)) return 1;
  const decade = 10 ** Math.floor(Math.log10(value));
  return decade * (STEPS.find((step) => step * decade >= value) ?? 10);
}

export const highest = (points: Point[]): number =>
  points.reduce((most, { value, high }) => Math.max(most, high ?? value), 0);

/** The line through the points, as an SVG path. One that stands alone is a dot. */
export function linePath(points: Point[], frame: Frame): string {
  return pieces(points, frame)
    .map((piece) => {
      const [first = "", ...rest] = piece.map(({ at, value }) => place(at, value, frame));
      return `M${first}${rest.length > 0 ? `L${rest.join(" ")}` : "h0"}`;
    })
    .join("");
}

/** The area between the least and the most, as an SVG path. */
export function rangePath(points: Point[], frame: Frame): string {
  return pieces(points, frame)
    .map((piece) => {
      const above = piece.map(({ at, value, high }) => place(at, high ?? value, frame));
      const below = piece.map(({ at, value, low }) => place(at, low ?? value, frame));
      return `M${above.join(" ")} ${below.reverse().join(" ")}Z`;
    })
    .join("");
}

function pieces(points: Point[], { from, to, gap }: Frame): Point[][] {
  const found: Point[][] = [];
  let last = Number.NEGATIVE_INFINITY;
  for (const point of points) {
    if (point.at < from || point.at > to) continue;
    if (point.at - last > gap) found.push([]);
    found.at(-1)?.push(point);
    last = point.at;
  }
  return found;
}

function place(at: number, value: number, { from, to, top }: Frame): string {
  const x = (100 * (at - from)) / (to - from);
  return `${short(x)},${short(100 - (100 * Math.min(value, top)) / top)}`;
}

const short = (value: number): number => Math.round(value * 100) / 100;
