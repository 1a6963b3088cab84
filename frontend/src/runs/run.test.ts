import { expect, test } from "vitest";
import type { Span, Story } from "../api.gen";
import { barOf, factsOf, forkStepOf, rowsOf } from "./run";

const span = (id: string, changes: Partial<Span> = {}): Span => ({
  id,
  parent_id: "run",
  kind: "model",
  name: id,
  run_id: 1,
  n: 0,
  start_ms: 0,
  end_ms: 100,
  status: "ok",
  message: "",
  code: "",
  call_id: "",
  step: 0,
  first_ms: null,
  usage: null,
  cost_nano_usd: null,
  is_partial_cost: false,
  decided: "",
  ...changes,
});

const story: Story = {
  trace_id: "",
  run_id: 1,
  conversation_id: 1,
  message_id: 2,
  request_id: "",
  command: "",
  program: "",
  model: "",
  status: "complete",
  start_ms: 0,
  end_ms: 200,
  spans: [
    span("run", { parent_id: null, kind: "run", end_ms: 200 }),
    span("gpt", { first_ms: 50 }),
    span("ask_helper", { kind: "tool", start_ms: 100, end_ms: 200, step: 0 }),
    span("helper", { parent_id: "ask_helper", kind: "run", run_id: 2, start_ms: 110 }),
    span("small", { parent_id: "helper", run_id: 2, start_ms: 120, status: "failed", message: "No key" }),
  ],
  marks: [{ span_id: "run", run_id: 1, n: 5, at_ms: 105, kind: "steered", text: "You said: in French" }],
};

const names = (filter: Parameters<typeof rowsOf>[1], search = "") =>
  rowsOf(story, filter, search).map(({ depth, span, mark }) => `${depth} ${mark?.text ?? span.name}`);

test("everything is there in its place, moments between the spans", () => {
  expect(names("all")).toEqual([
    "0 run",
    "1 gpt",
    "1 ask_helper",
    "1 You said: in French",
    "2 helper",
    "3 small",
  ]);
});

test.each([
  ["problems", "", ["0 run", "1 ask_helper", "2 helper", "3 small"]],
  ["tools", "", ["0 run", "1 ask_helper"]],
  ["models", "gpt", ["0 run", "1 gpt"]],
  ["all", "no KEY", ["0 run", "1 ask_helper", "2 helper", "3 small"]],
  ["all", "french", ["1 You said: in French"]],
  ["waits", "", []],
] as const)("what is found (%s, %j) stands in what it is inside of", (filter, search, expected) => {
  expect(names(filter, search)).toEqual(expected);
});

test("a bar lies where the span was, with the part before the first word", () => {
  const [, gpt, tool] = story.spans;
  if (!gpt || !tool) throw new Error("no spans");

  expect(barOf(story, gpt)).toEqual({ left: 0, width: 50, first: 25 });
  expect(barOf(story, tool)).toEqual({ left: 50, width: 50, first: null });
});

test("a cost that is not known is not nought", () => {
  const usage = {
    input_tokens: 5,
    cache_read_tokens: 2,
    cache_write_tokens: 0,
    output_tokens: 1,
    reasoning_tokens: 0,
  };

  expect(factsOf(span("a", { usage }))).toContainEqual(["Cost", "not known"]);
  expect(factsOf(span("a", { usage, cost_nano_usd: 1_234_000 }))).toContainEqual(["Cost", "$0.00123"]);
  expect(factsOf(span("a", { usage }))).toContainEqual(["Read", "7 tokens, 2 of them from the cache"]);
});

test("a fork makes a model call again, and goes on after a tool", () => {
  const told = { story, why_slow: { total_ms: 0, shares: [], summary: "" }, is_recorded: true };

  expect(story.spans.map((each) => forkStepOf(told, each))).toEqual([null, 0, 1, null, null]);
});
