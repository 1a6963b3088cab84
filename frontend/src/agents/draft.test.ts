import { expect, test } from "vitest";
import { agentRow } from "../fakeRows";
import { draftOf, moved, nameFrom, readDraft, toggled } from "./draft";

const full = agentRow("critic", "The critic", {
  id: 7,
  icon: "🧐",
  instructions: "Find what is wrong.",
  model: "openai/gpt-5",
  fallback_models: ["local/llama"],
  temperature: 0.25,
  max_output_tokens: 4000,
  reasoning_effort: "high",
  output_schema: { type: "object" },
  step_limit: 7,
  tools: ["calculate"],
  subagents: ["assistant"],
  limits: {
    run: { cost_nano_usd: 250_000_000, tokens: 1000, seconds: 60, tool_calls: 9 },
    day: { cost_nano_usd: null, tokens: 5 },
    month: { cost_nano_usd: 0, tokens: null },
  },
});

test("what is in the fields is what the agent was", () => {
  const { id: _id, is_active: _isActive, ...content } = full;

  expect(readDraft(draftOf(full))).toEqual({ agent: content, problems: null });
});

test("a new agent needs a name and nothing else", () => {
  expect(readDraft(draftOf(null)).problems).toEqual({ name: expect.stringContaining("Small letters") });
  expect(readDraft({ ...draftOf(null), name: "new" }).agent).toMatchObject({
    name: "new",
    tools: null,
    step_limit: 20,
  });
});

test("every field that cannot be read says so", () => {
  const draft = draftOf(full);
  const { problems } = readDraft({
    ...draft,
    name: "The critic",
    temperature: "hot",
    maxOutputTokens: "0",
    stepLimit: "",
    outputSchema: "[]",
    limits: { ...draft.limits, day: { cost: "much", tokens: "" } },
  });

  expect(Object.keys(problems ?? {}).sort()).toEqual([
    "limits",
    "maxOutputTokens",
    "name",
    "outputSchema",
    "stepLimit",
    "temperature",
  ]);
});

test.each([
  ["The Critic", "the-critic"],
  ["  Übersetzer (DE)", "ubersetzer-de"],
  ["2nd reader", "nd-reader"],
  ["日本", ""],
])("a new agent labelled %j is called %j", (label, name) => {
  expect(nameFrom(label)).toBe(name);
});

test("lists keep their order", () => {
  expect(moved(["a", "b", "c"], 2, -1)).toEqual(["a", "c", "b"]);
  expect(moved(["a", "b"], 1, 1)).toEqual(["a", "b"]);
  expect(toggled(["a", "b"], "a")).toEqual(["b"]);
  expect(toggled(["b"], "a")).toEqual(["b", "a"]);
});
