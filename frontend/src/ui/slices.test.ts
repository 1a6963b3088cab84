import { describe, expect, it } from "vitest";
import { type Clock, Slices } from "./slices";

/** A page whose time passes only through the work done in it. */
class Page implements Clock {
  nowMs = 0;
  hidden = false;
  frames: (() => void)[] = [];
  readonly shown: string[] = [];
  readonly slices = new Slices(this);

  now = () => this.nowMs;
  isHidden = () => this.hidden;
  atNextFrame = (run: () => void) => void this.frames.push(run);

  add(name: string, costMs: number, distance = 0) {
    const work = {
      distance: () => distance,
      // As Preact does it: the cost comes in a microtask.
      show: () =>
        queueMicrotask(() => {
          this.nowMs += costMs;
          this.shown.push(name);
        }),
    };
    this.slices.add(work);
    return work;
  }

  /** Draw one frame; returns what it showed. */
  async frame(): Promise<string[]> {
    const before = this.shown.length;
    for (const run of this.frames.splice(0)) run();
    await new Promise((settled) => setTimeout(settled));
    return this.shown.slice(before);
  }
}

describe("work that waits", () => {
  it("does nothing before the next frame, and asks for one frame only", () => {
    const page = new Page();
    page.add("a", 1);
    page.add("b", 1);

    expect(page.shown).toEqual([]);
    expect(page.frames).toHaveLength(1);
  });

  it("takes 8 ms of a frame and goes on in the next until all is done", async () => {
    const page = new Page();
    for (let n = 0; n < 5; n += 1) page.add(`${n}`, 4);

    expect(await page.frame()).toEqual(["4", "3"]);
    expect(await page.frame()).toEqual(["2", "1"]);
    expect(await page.frame()).toEqual(["0"]);
    expect(page.frames).toHaveLength(0);
  });

  it("goes on, one piece a frame, where a single piece takes longer than that", async () => {
    const page = new Page();
    page.add("a", 100);
    page.add("b", 100);

    expect(await page.frame()).toEqual(["b"]);
    expect(await page.frame()).toEqual(["a"]);
  });

  it("begins with what is in view, then what is near, and ends with what nobody can see", async () => {
    const page = new Page();
    page.add("unseen", 1, Number.POSITIVE_INFINITY);
    page.add("far", 1, 9_000);
    page.add("in view", 1, 0);
    page.add("near", 1, 300);
    page.add("unseen too", 1, Number.POSITIVE_INFINITY);

    expect(await page.frame()).toEqual(["in view", "near", "far", "unseen too", "unseen"]);
  });

  it("looks again in each frame where the reader is", async () => {
    const page = new Page();
    const places = { a: 900, b: 500, c: 0 };
    for (const name of ["a", "b", "c"] as const) page.add(name, 8).distance = () => places[name];

    expect(await page.frame()).toEqual(["c"]);
    places.a = 0;
    expect(await page.frame()).toEqual(["a"]);
  });

  it("leaves out what has left the page", async () => {
    const page = new Page();
    const gone = page.add("gone", 1);
    page.add("here", 1);
    page.slices.delete(gone);

    expect(await page.frame()).toEqual(["here"]);
  });

  it("takes longer at a time in a hidden page, which has no frames to keep", async () => {
    const page = new Page();
    page.hidden = true;
    for (let n = 0; n < 20; n += 1) page.add(`${n}`, 5);

    expect(await page.frame()).toHaveLength(10);
    expect(await page.frame()).toHaveLength(10);
  });

  it("that comes after all was done is done too", async () => {
    const page = new Page();
    page.add("a", 1);
    await page.frame();
    page.add("b", 1);

    expect(await page.frame()).toEqual(["b"]);
  });
});
