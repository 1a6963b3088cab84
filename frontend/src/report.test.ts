import { expect, test, vi } from "vitest";
import { createReport, reportUncaught } from "./report";

test("the same fault is sent once in ten seconds", async () => {
  let time = 0;
  const send = vi.fn(async () => {});
  const report = createReport(send, () => time);

  for (time of [0, 9_999, 10_000]) report({ where: "chat", message: "broke" });

  expect(send).toHaveBeenCalledTimes(2);
});

test("at most twenty faults are sent a minute", async () => {
  let time = 0;
  const send = vi.fn(async () => {});
  const report = createReport(send, () => time);

  for (let fault = 0; fault < 30; fault++) report({ where: "chat", message: `fault ${fault}` });
  await vi.waitFor(() => expect(send).toHaveBeenCalledTimes(20));
  time = 60_000;
  report({ where: "chat", message: "later" });

  await vi.waitFor(() => expect(send).toHaveBeenCalledTimes(21));
});

test("a fault that could not be sent goes with the next one", async () => {
  const sent: string[] = [];
  let isDown = true;
  const report = createReport(async ({ message }) => {
    if (isDown) throw new Error("disconnected");
    sent.push(message);
  });

  report({ where: "chat", message: "first" });
  await Promise.resolve();
  isDown = false;
  report({ where: "chat", message: "second" });

  await vi.waitFor(() => expect(sent).toEqual(["first", "second"]));
});

test("uncaught errors and refused content are reported", () => {
  const report = vi.fn();
  reportUncaught(window, report);

  window.dispatchEvent(new ErrorEvent("error", { message: "boom", filename: "a.js", lineno: 3 }));
  const violation = new Event("securitypolicyviolation");
  Object.assign(violation, { effectiveDirective: "style-src", blockedURI: "inline", sourceFile: "b.js" });
  document.dispatchEvent(violation);

  expect(report.mock.calls.map(([fault]) => fault.message)).toEqual(["boom", "style-src blocked inline"]);
});
