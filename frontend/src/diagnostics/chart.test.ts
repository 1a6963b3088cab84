import { expect, test } from "vitest";
import { type Frame, linePath, type Point, rangePath, roundedUp } from "./chart";

const frame: Frame = { from: 1000, to: 2000, top: 50, gap: 300 };

test("a line goes from left to right, and higher is further up", () => {
  const points = [
    { at: 1000, value: 0 },
    { at: 1250, value: 25 },
    { at: 1500, value: 50 },
  ];

  expect(linePath(points, frame)).toBe("M0,100L25,50 50,0");
});

test("points that are far apart are not joined, and one alone is a dot", () => {
  const points = [1000, 1200, 1600, 1900].map((at) => ({ at, value: 25 }));

  expect(linePath(points, frame)).toBe("M0,50L20,50M60,50L90,50");
  expect(linePath(points, { ...frame, gap: 250 })).toBe("M0,50L20,50M60,50h0M90,50h0");
});

test("what is outside of the time shown is left out, and above the top is at the top", () => {
  const points = [
    { at: 900, value: 1 },
    { at: 1500, value: 80 },
    { at: 2100, value: 1 },
  ];

  expect(linePath(points, frame)).toBe("M50,0h0");
});

test("a range goes along the most and back along the least", () => {
  const points: Point[] = [
    { at: 1000, value: 20, low: 10, high: 30 },
    { at: 1100, value: 20, low: 15, high: 40 },
  ];

  expect(rangePath(points, frame)).toBe("M0,40 10,20 10,70 0,80Z");
});

test.each([
  [0, 1],
  [Number.NaN, 1],
  [0.3, 0.3],
  [0.031, 0.04],
  [1, 1],
  [97, 100],
  [101, 150],
  [2.1e9, 3e9],
])("%d is rounded up to %d", (value, expected) => {
  expect(roundedUp(value)).toBeCloseTo(expected, 9);
});
