import { render } from "preact";
import { expect, it, vi } from "vitest";
import type { ErrorRow } from "../api.gen";
import { commandsOver } from "../api.gen";
import { createApp } from "../app/app";
import { NOON_MS } from "../fakeRows";
import { FakeServer } from "../fakeServer";
import { ErrorList } from "./ErrorList";

const fault = (changes: Partial<ErrorRow> = {}): ErrorRow => ({
  id: 7,
  at_ms: NOON_MS,
  source: "thread",
  code: "internal",
  message: "the thread errand ended with a fault",
  place: "deskside.backend.crashes:180",
  detail: "ValueError at backend/errand.py:3 run",
  request_id: "a1b2c3d4e5f6",
  fingerprint: "0011223344556677",
  count: 3,
  first_ms: NOON_MS,
  version: "0.1.0",
  doing: "conversations.rename (a1b2c3d4e5f6)",
  is_shown: false,
  earlier: [],
  ...changes,
});

function open(rows: ErrorRow[]) {
  const server = new FakeServer({
    "diagnostics.recent_errors": () => rows,
    "diagnostics.mark_errors_shown": () => null,
    "diagnostics.error_report": () => ({ text: "a report" }),
    "diagnostics.clear_errors": () => {
      rows = [];
      return null;
    },
  });
  const bridge = server.bridge();
  bridge.connect();
  server.hello();
  return { server, app: createApp(commandsOver(bridge.call, bridge.stream), { hash: "" }) };
}

it("tells of a failure once, with the way to the details", async () => {
  const { server, app } = open([]);

  app.apply({ type: "fault_kept", fault: fault() }, 1);
  app.apply({ type: "fault_kept", fault: fault({ count: 4, is_shown: true }) }, 2);

  await vi.waitFor(() =>
    expect(server.calls.map(({ cmd }) => cmd)).toContain("diagnostics.mark_errors_shown"),
  );
  expect(app.toasts.shown.value).toHaveLength(1);
  const [toast] = app.toasts.shown.value;
  expect(toast?.message).toBe("Something that ran in the background failed.");
  expect(toast?.hint).toBe("the thread errand ended with a fault");
  toast?.action?.run();
  expect(app.place.value).toEqual({ view: "settings", section: "diagnostics" });
});

it("lists what went wrong, copies a report of it, and forgets it", async () => {
  const writeText = vi.fn(() => Promise.resolve());
  vi.stubGlobal("navigator", { clipboard: { writeText } });
  const earlier = [
    { at_ms: NOON_MS - 1000, request_id: "0a0b0c0d0e0f" },
    { at_ms: NOON_MS - 2000, request_id: "-" },
  ];
  const { app } = open([fault({ earlier })]);
  const root = document.createElement("div");
  document.body.append(root);
  render(<ErrorList app={app} />, root);

  await vi.waitFor(() => expect(root.textContent).toContain("3 times since"));
  expect(root.textContent).toContain("after conversations.rename");
  expect(root.textContent).toContain("ValueError at backend/errand.py:3 run");
  const button = (name: string) =>
    [...root.querySelectorAll("button")].find((each) =>
      `${each.textContent}${each.getAttribute("aria-label")}`.includes(name),
    );
  button("Copy the request")?.click();
  await vi.waitFor(() => expect(writeText).toHaveBeenCalledWith("a1b2c3d4e5f6"));
  expect(root.querySelectorAll("[data-testid=error-earlier] li")).toHaveLength(1);
  button("0a0b0c0d0e0f")?.click();
  await vi.waitFor(() => expect(writeText).toHaveBeenCalledWith("0a0b0c0d0e0f"));
  button("Copy report")?.click();
  await vi.waitFor(() => expect(writeText).toHaveBeenCalledWith("a report"));
  button("Clear")?.click();
  await vi.waitFor(() => expect(root.textContent).toContain("Nothing has gone wrong."));
  vi.unstubAllGlobals();
});
