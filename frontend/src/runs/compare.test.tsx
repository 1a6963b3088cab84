import { cleanup, fireEvent, render, screen, waitFor, within } from "@testing-library/preact";
import { afterEach, describe, expect, test } from "vitest";
import type { ComparedRuns, ComparedStep, RunChoice, RunTotals, StepPair } from "../api.gen";
import { commandsOver } from "../api.gen";
import { createApp } from "../app/app";
import { violations } from "../fakeChat";
import { NOON_MS } from "../fakeRows";
import { FakeServer } from "../fakeServer";
import { CompareDialog } from "./CompareDialog";
import { CompareTotals } from "./CompareTotals";
import { choicesBy, countsOf, figuresOf, rowsOf } from "./compare";
import { PairList } from "./PairList";

afterEach(cleanup);

const usage = {
  input_tokens: 1000,
  cache_read_tokens: 0,
  cache_write_tokens: 0,
  output_tokens: 50,
  reasoning_tokens: 0,
};

const totals = (run_id: number, changes: Partial<RunTotals> = {}): RunTotals => ({
  run_id,
  conversation_id: run_id * 10,
  message_id: 2,
  agent: "assistant",
  model: "openai/gpt-5",
  status: "complete",
  message: "",
  start_ms: NOON_MS,
  took_ms: 2000,
  first_ms: 500,
  model_calls: 2,
  failed_model_calls: 0,
  tool_calls: 1,
  failed_tool_calls: 0,
  usage,
  used_calls: 2,
  unknown_calls: 0,
  partial_calls: 0,
  cost_nano_usd: 40_000_000,
  ...changes,
});

const step = (run_id: number, n: number, changes: Partial<ComparedStep> = {}): ComparedStep => ({
  run_id,
  n,
  kind: "model",
  name: "openai/gpt-5",
  status: "ok",
  took_ms: 1200,
  first_ms: 300,
  usage: null,
  cost_nano_usd: null,
  excerpts: ["Rain."],
  ...changes,
});

const pair = (kind: StepPair["kind"], depth = 0, changes: Partial<StepPair> = {}): StepPair => ({
  kind,
  depth,
  left: kind === "only_right" ? null : step(7, 1),
  right: kind === "only_left" ? null : step(9, 1),
  differences: [],
  ...changes,
});

const diff = "--- run 7\n+++ run 9\n@@ -1 +1 @@\n-rain\n+snow";
const compared: ComparedRuns = {
  left: totals(7),
  right: totals(9),
  pairs: [
    pair("same"),
    pair("changed", 0, {
      left: step(7, 5, { kind: "tool", name: "weather", excerpts: ['{ "city": "Oslo" }', "rain"] }),
      right: step(9, 5, { kind: "tool", name: "weather", excerpts: ['{ "city": "Oslo" }', "snow"] }),
      differences: [{ aspect: "result", diff, is_repeated: false }],
    }),
    pair("only_left", 0, { left: step(7, 9, { status: "failed" }) }),
    pair("changed", 0, { differences: [{ aspect: "instructions", diff: "", is_repeated: true }] }),
  ],
};

describe("figures", () => {
  const figures = (left: Partial<RunTotals>, right: Partial<RunTotals>) =>
    Object.fromEntries(
      figuresOf(totals(7, left), totals(9, right)).map(({ label, left, right, delta }) => [
        label,
        [left, right, delta],
      ]),
    );

  test("say how much more or less the second run took", () => {
    const found = figures({}, { took_ms: 500, tool_calls: 3, cost_nano_usd: 50_000_000 });

    expect(found.Time).toEqual(["2.0 s", "500 ms", "−1.5 s (−75\u00a0%)"]);
    expect(found["Tool calls"]).toEqual(["1", "3", "+2 (+200\u00a0%)"]);
    expect(found.Cost).toEqual(["$0.04", "$0.05", "+$0.01 (+25\u00a0%)"]);
    expect(found["Model calls"]).toEqual(["2", "2", "same"]);
  });

  test("are not known where a part of them is not", () => {
    const found = figures({ took_ms: null }, { unknown_calls: 1 });

    expect(found.Time).toEqual(["not known", "2.0 s", ""]);
    expect(found.Cost).toEqual(["$0.04", "At least $0.04", ""]);
  });

  test("leave out the tokens that neither run used", () => {
    const found = figures({}, { usage: { ...usage, cache_read_tokens: 5 } });

    expect(found["Read from the cache"]).toEqual(["0", "5", "+5"]);
    expect(Object.keys(found)).not.toContain("Reasoning tokens");
  });
});

describe("rows", () => {
  const pairs = [
    pair("same"),
    pair("same", 1),
    pair("same"),
    pair("changed", 1),
    pair("same", 1),
    pair("same"),
  ];

  test("are all pairs, or those that are different with what they are inside of", () => {
    expect(rowsOf(pairs, false).map(({ at }) => at)).toEqual([0, 1, 2, 3, 4, 5]);
    expect(rowsOf(pairs, true).map(({ at }) => at)).toEqual([2, 3]);
    expect(rowsOf([pair("same")], true)).toEqual([]);
  });

  test("are counted by what they are", () => {
    expect(countsOf(compared)).toBe("1 same, 2 changed, 1 only in run 7");
    expect(countsOf({ ...compared, pairs: [] })).toBe("Neither run has a step.");
  });
});

const choice = (run_id: number, relation: RunChoice["relation"], question: string): RunChoice => ({
  run_id,
  conversation_id: 3,
  title: "Weather",
  question,
  agent: "assistant",
  model: "openai/gpt-5",
  status: "complete",
  started_ms: NOON_MS,
  relation,
});
const choices = [
  choice(9, "version", "How is it?"),
  choice(8, "fork", "How is it?"),
  choice(4, "other", "Who are you?"),
];

test("what there is to compare with is found by every word, in its group", () => {
  const groups = (search: string) =>
    choicesBy(choices, search).map(({ title, choices }) => [title, choices.map(({ run_id }) => run_id)]);

  expect(groups("")).toEqual([
    ["Versions of this answer", [9]],
    ["Forked conversations", [8]],
    ["Newest in other conversations", [4]],
  ]);
  expect(groups("GPT who")).toEqual([["Newest in other conversations", [4]]]);
  expect(groups("nothing")).toEqual([]);
});

function opened(answers: ConstructorParameters<typeof FakeServer>[0] = {}) {
  const server = new FakeServer(answers);
  const bridge = server.bridge();
  bridge.connect();
  server.hello();
  return { server, app: createApp(commandsOver(bridge.call, bridge.stream), { hash: "" }) };
}

test("the steps stand side by side, and open to what is different and to all that was in them", async () => {
  const { app, server } = opened({
    "recordings.content": ({ run_id, n }) => ({
      run_id,
      n,
      at_ms: 0,
      sections: [{ title: "Result", text: `of ${run_id}`, language: "text", size_bytes: 4, is_cut: false }],
    }),
  });
  render(<PairList app={app} compared={compared} />);

  const [same, changed, alone, again] = screen.getAllByTestId("pair");
  if (!same || !changed || !alone || !again) throw new Error("there are rows missing");
  expect(within(alone).getByText("Not in run 9")).toBeTruthy();
  expect(within(alone).getByText("failed")).toBeTruthy();
  // The first difference is open.
  expect(within(changed).getByRole("group", { name: "Result" }).textContent).toContain("+snow");
  expect(within(same).getByRole("button").getAttribute("aria-expanded")).toBe("false");
  expect(server.calls).toEqual([]);

  fireEvent.click(within(changed).getByRole("button", { name: "Show everything in this step" }));
  await waitFor(() => expect(within(changed).getByText("of 9")).toBeTruthy());
  expect(server.calls.map(({ params }) => params)).toEqual([
    { run_id: 7, n: 5 },
    { run_id: 9, n: 5 },
  ]);
  fireEvent.click(within(again).getByRole("button"));
  expect(within(again).getByText("Instructions: the same difference as above.")).toBeTruthy();
  expect(await violations()).toEqual([]);
});

test("what is the same can be left out", () => {
  render(<PairList app={opened().app} compared={compared} />);

  fireEvent.click(screen.getByRole("button", { name: "Only differences" }));
  expect(screen.getAllByTestId("pair").map((row) => row.dataset.kind)).toEqual([
    "changed",
    "only_left",
    "changed",
  ]);
  fireEvent.click(screen.getByRole("button", { name: "Only differences" }));
  expect(screen.getAllByTestId("pair")).toHaveLength(4);
});

test("the figures lead to each of the runs", async () => {
  const { app } = opened();
  render(
    <CompareTotals app={app} left={totals(7)} right={totals(9, { status: "failed", message: "No key" })} />,
  );

  expect(screen.getByText("failed: No key")).toBeTruthy();
  fireEvent.click(screen.getByRole("button", { name: "Run 9" }));
  expect(app.place.value).toEqual({ view: "run", runId: 9, conversationId: 90 });
  expect(await violations()).toEqual([]);
});

test("a run to compare with is found and chosen", async () => {
  const { app } = opened({ "recordings.others": () => choices });
  const chosen: number[] = [];
  render(
    <CompareDialog app={app} runId={7} onChoose={({ run_id }) => chosen.push(run_id)} onClose={() => {}} />,
  );

  await waitFor(() => expect(screen.getAllByRole("listitem")).toHaveLength(3));
  expect(await violations()).toEqual([]);
  fireEvent.input(screen.getByLabelText("Search questions, models and agents"), { target: { value: "who" } });
  fireEvent.click(screen.getByRole("button", { name: /Who are you/ }));
  expect(chosen).toEqual([4]);
});

test("without any other run it says what to do", async () => {
  const { app } = opened({ "recordings.others": () => [] });
  render(<CompareDialog app={app} runId={7} onChoose={() => {}} onClose={() => {}} />);

  await waitFor(() => expect(screen.getByText(/No other run is recorded/)).toBeTruthy());
});
