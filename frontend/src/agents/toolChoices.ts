/** The tools that an agent may be given, for the form. */
import type { Commands, ToolRow } from "../api.gen";

export type ToolChoice = Pick<ToolRow, "name" | "description">;

/** All tools there are, by name. Throws BridgeError. */
export const loadToolChoices = (api: Pick<Commands, "tools">): Promise<ToolChoice[]> => api.tools.list();

/** Those there are, and those that are named and not there (any more). */
export function withNamed(choices: ToolChoice[], named: string[]): ToolChoice[] {
  const known = new Set(choices.map(({ name }) => name));
  const missing = named.filter((name) => !known.has(name));
  return [...choices, ...missing.map((name) => ({ name, description: "Not here at the moment." }))];
}
