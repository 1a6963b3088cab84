/** The tools that an agent may be given, for the form. */
import { BridgeError } from "../bridge";

export interface ToolChoice {
  name: string;
  description: string;
}

interface MayListTools {
  tools?: { list?(): Promise<ToolChoice[]> };
}

/** All tools there are; none where this Python cannot list them. */
export async function loadToolChoices(api: object): Promise<ToolChoice[]> {
  try {
    return (await (api as MayListTools).tools?.list?.()) ?? [];
  } catch (error) {
    if (!(error instanceof BridgeError)) throw error;
    return [];
  }
}

/** Those there are, and those that are named and not there (any more). */
export function withNamed(choices: ToolChoice[], named: string[]): ToolChoice[] {
  const known = new Set(choices.map(({ name }) => name));
  const missing = named.filter((name) => !known.has(name));
  return [...choices, ...missing.map((name) => ({ name, description: "Not here at the moment." }))];
}
