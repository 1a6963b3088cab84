import { cleanup, fireEvent, render, screen, waitFor, within } from "@testing-library/preact";
import axe from "axe-core";
import { afterEach, expect, test } from "vitest";
import { type AllTimings, commandsOver, type Sample, type Timing } from "../api.gen";
import { AppView } from "../app/AppView";
import { createApp } from "../app/app";
import { appState, NOON_MS } from "../fakeRows";
import { type Answer, FakeServer, Refusal } from "../fakeServer";

afterEach(cleanup);

const timing = (name: string, p95_ms: number, changes: Partial<Timing> = {}): Timing => ({
  name,
  count: 4,
  failures: {},
  total_ms: 4 * p95_ms,
  mean_ms: p95_ms,
  p50_ms: p95_ms / 2,
  p95_ms,
  max_ms: p95_ms,
  ...changes,
});
const timings: AllTimings = {
  commands: [timing("app.state", 2, { count: 900 }), timing("search.find", 80), timing("runs.start", 0.42)],
  providers: [
    {
      provider: "openai",
      head: timing("openai", 400),
      first: timing("openai", 900),
      calls: timing("openai", 8000, { failures: { rate_limited: 1, stopped: 1 } }),
      whole: timing("openai", 9000),
      output_tokens: 700,
      tokens_per_s: 63.4,
    },
  ],
  tools: [],
  store: [{ run: timing("replies.ask", 3), queue: timing("replies.ask", 0.05) }],
};
const sample = (at_ms: number, changes: Partial<Sample> = {}): Sample => ({
  at_ms,
  cpu_percent: 3.14,
  memory_bytes: 412e6,
  read_bytes_per_s: 0,
  written_bytes_per_s: 2e6,
  open_files: 147,
  threads: 56,
  processes: 4,
  machine_cpu_percent: 61,
  machine_memory_bytes: 7.1e9,
  machine_read_bytes_per_s: null,
  machine_written_bytes_per_s: null,
  disk_free_bytes: 9e10,
  sampler_ms: 1.2,
  ...changes,
});

async function shown(answers: Record<string, Answer> = {}) {
  const server = new FakeServer({
    "app.state": () => appState(),
    "conversations.pinned": () => [],
    "sorting.overview": () => ({ folders: [], tags: [] }),
    "conversations.page": () => ({ conversations: [], next_cursor: null }),
    ...answers,
  });
  const bridge = server.bridge();
  const app = createApp(commandsOver(bridge.call, bridge.stream), { hash: "#/settings/diagnostics" });
  bridge.connect();
  server.hello();
  await app.start();
  const view = render(<AppView app={app} isConnected={bridge.isConnected} />);
  await screen.findByText("What Deskside uses");
  await waitFor(() => expect(server.params("diagnostics.metrics")).toHaveLength(1));
  return { server, view };
}

function streamId(server: FakeServer): number {
  return server.socket.sent.findLast(({ cmd }) => cmd === "diagnostics.metrics")?.id ?? 0;
}

function update(server: FakeServer, ...samples: Sample[]): void {
  server.socket.receive({ t: "next", id: streamId(server), data: { samples, timings } });
}

const chart = (title: string) => within(screen.getByRole("figure", { name: title }));

test("what is drawn is said beside it, and follows what comes", async () => {
  const { server } = await shown();
  update(server, sample(NOON_MS, { cpu_percent: 9 }));
  update(server, sample(NOON_MS + 1000), sample(NOON_MS + 2000));

  await chart("Processor").findByText("3.1 %");
  chart("Processor").getByText("highest 9 %");
  chart("Memory").getByText("412 MB");
  chart("Threads and files").getByText("147");
  chart("Disk").getByText("2 MB/s");
  screen.getByText("1.2 ms");
  expect(document.querySelector(".chart-line")?.getAttribute("d")).toMatch(/^M[\d.]+,[\d.]+L/);
  const found = await axe.run(document.body, { rules: { "color-contrast": { enabled: false } } });
  expect(found.violations.map(({ id, nodes }) => `${id} ${nodes[0]?.html}`)).toEqual([]);
});

test("what cannot be read is said to be unknown, and is a gap in its line", async () => {
  const { server } = await shown();
  update(server, sample(NOON_MS, { threads: null, disk_free_bytes: null, open_files: null }));

  await chart("Memory").findByText("412 MB");
  expect(chart("Threads and files").getAllByText("not known")).toHaveLength(2);
  expect(screen.getAllByText("not known")).toHaveLength(3);
});

test("what is slow stands first, and another column can be sorted by", async () => {
  const { server } = await shown();
  update(server, sample(NOON_MS));
  const table = within(await screen.findByRole("region", { name: "Commands" }));
  const names = () => table.getAllByRole("rowheader").map(({ textContent }) => textContent);

  expect(names()).toEqual(["search.find", "app.state", "runs.start"]);
  expect(table.getAllByText("0.4 ms")).toHaveLength(2);
  fireEvent.click(table.getByRole("button", { name: "Calls" }));
  await waitFor(() => expect(names()[0]).toBe("app.state"));
  expect(table.getByRole("columnheader", { name: "Calls" }).getAttribute("aria-sort")).toBe("descending");
});

test("failures are told by code, and those that the user ended are none", async () => {
  const { server } = await shown();
  update(server, sample(NOON_MS));
  const table = within(await screen.findByRole("region", { name: "Providers" }));

  table.getByText("1 × rate limited");
  table.getByText("1 × stopped");
  table.getByText("25 %");
  table.getByText("63");
  screen.getByText("No tool was used since Deskside was started.");
});

test("a dropped connection is taken up again with all samples anew", async () => {
  const { server } = await shown();
  update(server, sample(NOON_MS));
  await chart("Processor").findByText("3.1 %");
  server.socket.close();
  await waitFor(() => expect(server.sockets).toHaveLength(2));
  server.hello();
  await waitFor(() => expect(server.params("diagnostics.metrics").length).toBeGreaterThanOrEqual(1));
  await waitFor(() => expect(streamId(server)).toBeGreaterThan(0));
  update(server, sample(NOON_MS + 5000, { cpu_percent: 44 }));

  await chart("Processor").findByText("44 %");
  chart("Processor").getByText("highest 44 %");
});

test("leaving ends the stream, so that samples are rare again", async () => {
  const { server, view } = await shown();
  const id = streamId(server);
  view.unmount();

  await waitFor(() =>
    expect(server.socket.sent.filter((frame) => frame.t === "cancel").map((frame) => frame.id)).toContain(id),
  );
});

test("the history shows the mean and what it went up and down to", async () => {
  const range = { min: 1, mean: 4, max: 30, count: 10 };
  const { server } = await shown({
    "diagnostics.history": () => [
      { at_ms: NOON_MS - 600_000, series: { cpu_percent: range } },
      { at_ms: NOON_MS - 300_000, series: { cpu_percent: { ...range, mean: 5 } } },
    ],
  });
  update(server, sample(NOON_MS));
  fireEvent.click(screen.getByRole("radio", { name: "Week" }));

  await chart("Processor").findByText("5 %");
  chart("Processor").getByText("highest 30 %");
  expect(server.params("diagnostics.history")).toEqual([{ hours: 168 }]);
  expect(document.querySelector(".chart-range")?.getAttribute("d")).toMatch(/Z$/);
});

test("without a history it says when there will be one", async () => {
  await shown({ "diagnostics.history": () => [] });
  fireEvent.click(screen.getByRole("radio", { name: "Day" }));

  await screen.findByText("There is no history yet: it is written every five minutes.");
});

test("a history that cannot be read says why", async () => {
  await shown({
    "diagnostics.history": () => {
      throw new Refusal("store_damaged", "The database is damaged.", "Restore a backup.");
    },
  });
  fireEvent.click(screen.getByRole("radio", { name: "30 days" }));

  await screen.findByText("The database is damaged.");
});
