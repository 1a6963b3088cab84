import { screen, waitFor } from "@testing-library/preact";
import { describe, expect, it } from "vitest";
import { shownChat } from "../fakeChat";
import { question, reply, textAppended } from "../fakeRows";
import type { FakeServer } from "../fakeServer";
import type { Screen } from "../ui/drawing";
import { createMeter, type Shown } from "./drawing";

/** A clock that is set by hand, and a screen that paints when it is told to. */
function metered() {
  let now = 0;
  let frame: (() => void) | null = null;
  let painted: (() => void) | null = null;
  const state = { changes: 0, isHidden: false };
  const fake: Screen = {
    now: () => now,
    nextFrame(callback) {
      frame = callback;
    },
    painted(callback) {
      painted = callback;
    },
    changes: () => state.changes,
    isHidden: () => state.isHidden,
  };
  const told: Shown[] = [];
  const meter = createMeter(fake, (shown) => told.push(shown));
  const pass = (ms: number) => {
    now += ms;
  };
  return {
    told,
    meter,
    state,
    pass,
    now: () => now,
    draw(scriptMs: number, isInFrame = true) {
      const startedMs = now;
      pass(scriptMs);
      meter.drew(startedMs, isInFrame);
    },
    beginFrame() {
      if (!frame) throw new Error("no frame was asked for");
      frame();
      frame = null;
    },
    endFrame(ms: number) {
      if (!painted) throw new Error("nothing is painted");
      const callback = painted;
      painted = null;
      pass(ms);
      callback();
    },
  };
}

describe("A meter", () => {
  it("adds up scripts and paintings, and tells of them once all is on the screen", () => {
    const { draw, beginFrame, endFrame, pass, now, meter, told } = metered();
    draw(3);
    endFrame(4);
    pass(100);
    draw(20);
    endFrame(5);
    expect(told).toEqual([]);

    const endedMs = now();
    draw(6, false);
    meter.finish(endedMs);
    pass(10); // until the frame: nothing is done
    beginFrame();
    expect(told).toEqual([]);
    endFrame(2);
    expect(told).toEqual([{ after_ms: 18, drawings: 3, drawing_ms: 40, longest_ms: 25 }]);
  });

  it("counts what is drawn inside of something once, and as one drawing", () => {
    const { pass, beginFrame, endFrame, meter, told } = metered();
    pass(5); // a reply begins at 0, a part of it at 2
    meter.drew(2, false);
    pass(1);
    meter.drew(0, false);
    meter.finish(0);
    beginFrame();
    endFrame(4);
    expect(told).toEqual([{ after_ms: 10, drawings: 1, drawing_ms: 8, longest_ms: 8 }]);
  });

  it("waits for what was drawn while it painted", () => {
    const { draw, beginFrame, endFrame, now, meter, told } = metered();
    draw(1);
    const endedMs = now();
    draw(30, false);
    meter.finish(endedMs);
    endFrame(1);
    expect(told).toEqual([]);
    beginFrame();
    endFrame(9);
    expect(told).toEqual([{ after_ms: 40, drawings: 2, drawing_ms: 41, longest_ms: 39 }]);
  });

  it("says nothing where the page was hidden at the end", () => {
    const hidden = metered();
    hidden.draw(1);
    hidden.state.isHidden = true;
    hidden.meter.finish(1);
    hidden.endFrame(1);
    expect(hidden.told).toEqual([]);

    const away = metered();
    away.draw(1);
    away.meter.finish(1);
    away.state.changes += 2;
    away.pass(3_600_000);
    away.endFrame(1);
    expect(away.told).toEqual([]);
  });
});

describe("A reply that comes while it is looked at", () => {
  const asked = question(1, "Is it?");
  const streaming = reply(2, "", { status: "streaming", run_id: 7 });
  const complete = reply(2, "Yes.", { status: "complete", run_id: 7 });
  const reports = (server: FakeServer) => server.calls.filter(({ cmd }) => cmd === "recordings.shown");
  const frames = () => new Promise((resolve) => requestAnimationFrame(() => setTimeout(resolve, 50)));

  it("is reported once, with its run", async () => {
    const { server } = await shownChat([asked, streaming]);
    server.publish(textAppended(2, 0, "Yes."));
    await screen.findByText("Yes.");
    server.publish({ type: "message_changed", message: complete });
    await waitFor(() => expect(reports(server)).toHaveLength(1));
    expect(reports(server)[0]?.params).toMatchObject({ run_id: 7 });
    expect(reports(server)[0]?.params.drawings).toBeGreaterThan(1);

    server.publish({ type: "message_changed", message: { ...complete, queue_place: 0 } });
    await frames();
    expect(reports(server)).toHaveLength(1);
  });

  it("is not where it was there before", async () => {
    const { server } = await shownChat([asked, complete]);
    server.publish({ type: "message_changed", message: { ...complete } });
    await frames();
    expect(reports(server)).toEqual([]);
  });
});
