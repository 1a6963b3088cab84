/** An agent while it is edited: what is in the fields, as text, and what Python gets of it. No JSX, no DOM. */
import type { AgentLimits, AgentRow, CreateAgentInput } from "../api.gen";
import { countField, dollarsField, readCount, readDollars } from "../settings/amounts";

export interface LimitFields {
  cost: string;
  tokens: string;
}

export interface RunLimitFields extends LimitFields {
  seconds: string;
  toolCalls: string;
}

export interface AgentDraft {
  name: string;
  label: string;
  icon: string;
  instructions: string;
  model: string | null;
  fallbackModels: string[];
  temperature: string;
  maxOutputTokens: string;
  reasoningEffort: AgentRow["reasoning_effort"];
  outputSchema: string;
  stepLimit: string;
  /** Null: every tool that is switched on. */
  tools: string[] | null;
  subagents: string[];
  limits: { run: RunLimitFields; day: LimitFields; month: LimitFields };
}

/** Where something is wrong, and what. Keys are those of `AgentDraft`. */
export type Problems = Partial<Record<keyof AgentDraft, string>>;

export const LONGEST_NAME = 48;

export const NAME = /^[a-z][a-z0-9_-]{0,47}$/;
export const NAME_RULE = "Small letters, digits, - and _; a letter first; at most 48.";

const limitFields = (limit: { cost_nano_usd: number | null; tokens: number | null }): LimitFields => ({
  cost: dollarsField(limit.cost_nano_usd),
  tokens: countField(limit.tokens),
});

const NO_LIMITS: AgentLimits = {
  run: { cost_nano_usd: null, tokens: null, seconds: null, tool_calls: null },
  day: { cost_nano_usd: null, tokens: null },
  month: { cost_nano_usd: null, tokens: null },
};

export function draftOf(row: AgentRow | null): AgentDraft {
  const limits = row?.limits ?? NO_LIMITS;
  return {
    name: row?.name ?? "",
    label: row?.label ?? "",
    icon: row?.icon ?? "",
    instructions: row?.instructions ?? "",
    model: row?.model ?? null,
    fallbackModels: row?.fallback_models ?? [],
    temperature: row?.temperature == null ? "" : String(row.temperature),
    maxOutputTokens: countField(row?.max_output_tokens ?? null),
    reasoningEffort: row?.reasoning_effort ?? null,
    outputSchema: row?.output_schema ? JSON.stringify(row.output_schema, null, 2) : "",
    stepLimit: String(row?.step_limit ?? 20),
    tools: row?.tools ?? null,
    subagents: row?.subagents ?? [],
    limits: {
      run: {
        ...limitFields(limits.run),
        seconds: countField(limits.run.seconds),
        toolCalls: countField(limits.run.tool_calls),
      },
      day: limitFields(limits.day),
      month: limitFields(limits.month),
    },
  };
}

/** "The Critic" → "the-critic": what a new agent is called until the user says otherwise. */
export function nameFrom(label: string): string {
  return label
    .toLowerCase()
    .normalize("NFD")
    .replace(/\p{M}/gu, "")
    .replace(/[^a-z0-9]+/g, "-")
    .replace(/^[^a-z]+|-+$/g, "")
    .slice(0, LONGEST_NAME);
}

/** What Python gets; or, where a field cannot be read, which and why. */
export function readDraft(
  draft: AgentDraft,
): { agent: CreateAgentInput; problems: null } | { agent: null; problems: Problems } {
  const problems: Problems = {};
  const temperature = readTemperature(draft.temperature);
  const maxOutputTokens = readCount(draft.maxOutputTokens, 1);
  const stepLimit = readCount(draft.stepLimit, 1);
  const schema = readSchema(draft.outputSchema);
  const limits = readLimits(draft.limits);
  if (!NAME.test(draft.name)) problems.name = NAME_RULE;
  if (temperature === undefined) problems.temperature = "A number from 0 to 2, or nothing.";
  if (maxOutputTokens === undefined) problems.maxOutputTokens = "A whole number, or nothing.";
  if (stepLimit == null || stepLimit > 1000) problems.stepLimit = "A whole number from 1 to 1,000.";
  if (schema === undefined) problems.outputSchema = "This is not a JSON object.";
  if (limits === undefined)
    problems.limits = "Amounts are numbers, such as 5 or 0.25, or nothing for no limit.";
  if (
    Object.keys(problems).length > 0 ||
    temperature === undefined ||
    maxOutputTokens === undefined ||
    stepLimit == null ||
    schema === undefined ||
    limits === undefined
  ) {
    return { agent: null, problems };
  }
  return {
    problems: null,
    agent: {
      name: draft.name,
      label: draft.label.trim(),
      icon: draft.icon,
      instructions: draft.instructions,
      model: draft.model,
      fallback_models: draft.fallbackModels,
      temperature,
      max_output_tokens: maxOutputTokens,
      reasoning_effort: draft.reasoningEffort,
      output_schema: schema,
      step_limit: stepLimit,
      tools: draft.tools,
      subagents: draft.subagents,
      limits,
    },
  };
}

function readTemperature(typed: string): number | null | undefined {
  const text = typed.trim().replace(",", ".");
  if (text === "") return null;
  const value = Number(text);
  return value >= 0 && value <= 2 ? value : undefined;
}

function readSchema(typed: string): Record<string, unknown> | null | undefined {
  if (typed.trim() === "") return null;
  try {
    const value: unknown = JSON.parse(typed);
    const isObject = typeof value === "object" && value !== null && !Array.isArray(value);
    return isObject ? (value as Record<string, unknown>) : undefined;
  } catch {
    return undefined;
  }
}

/** Undefined where one of the fields cannot be read. */
export function readLimit(fields: LimitFields) {
  const cost = readDollars(fields.cost);
  const tokens = readCount(fields.tokens);
  return cost === undefined || tokens === undefined ? undefined : { cost_nano_usd: cost, tokens };
}

function readLimits(fields: AgentDraft["limits"]): AgentLimits | undefined {
  const [run, day, month] = [readLimit(fields.run), readLimit(fields.day), readLimit(fields.month)];
  const seconds = readCount(fields.run.seconds);
  const toolCalls = readCount(fields.run.toolCalls);
  if (!run || !day || !month || seconds === undefined || toolCalls === undefined) return undefined;
  return { run: { ...run, seconds, tool_calls: toolCalls }, day, month };
}

/** The list with one of its entries moved by one place; the same at an end. */
export function moved<T>(list: T[], at: number, by: -1 | 1): T[] {
  const to = at + by;
  if (to < 0 || to >= list.length) return list;
  const result = [...list];
  result.splice(to, 0, ...result.splice(at, 1));
  return result;
}

/** The list without the entry, or with it at its end. */
export const toggled = (list: string[], name: string): string[] =>
  list.includes(name) ? list.filter((each) => each !== name) : [...list, name];
