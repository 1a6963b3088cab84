import { expect, test } from "vitest";
import type { ProviderModels } from "../api.gen";
import { choicesFor } from "./models";

function provider(name: string, models: string[]): ProviderModels {
  return {
    provider: name,
    label: name.toUpperCase(),
    models: models.map((model) => ({
      id: `${name}/${model}`,
      label: model.replace("-", " "),
      provider: name,
      context_tokens: null,
      created_s: null,
    })),
    source: "live",
    needs_key: false,
    problem: "",
  };
}

const PROVIDERS = [
  provider("openai", ["gpt-5", "gpt-5-mini"]),
  provider("local", ["qwen3:8b"]),
  provider("x", []),
];
const found = (search: string) =>
  choicesFor(PROVIDERS, search).groups.flatMap(({ models }) => models.map(({ id }) => id));

test("every word of the search must be found, in any order", () => {
  expect(found("mini openai")).toEqual(["openai/gpt-5-mini"]);
  expect(found("QWEN")).toEqual(["local/qwen3:8b"]);
  expect(found("mini qwen")).toEqual([]);
});

test("a provider without models is shown until something is searched for", () => {
  expect(choicesFor(PROVIDERS, "").groups).toHaveLength(3);
  expect(choicesFor(PROVIDERS, "gpt").groups).toHaveLength(1);
});

test("only a whole name that is in no list is offered as typed", () => {
  const typed = (search: string) => choicesFor(PROVIDERS, search).typed;

  expect(typed(" openai/gpt-9 ")).toBe("openai/gpt-9");
  expect(typed("openai/gpt-5")).toBeNull();
  expect(typed("gpt-9")).toBeNull();
  expect(typed("openai/")).toBeNull();
});
