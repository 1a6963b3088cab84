import { expect, test } from "vitest";
import { zoomAfter } from "./zoom";

test.each([
  [100, 1, 110],
  [100, -1, 90],
  [103, 1, 110],
  [103, -1, 100],
  [300, 1, 300],
  [50, -1, 50],
] as const)("after %i comes in direction %i %i", (now, step, next) => {
  expect(zoomAfter(now, step)).toBe(next);
});
