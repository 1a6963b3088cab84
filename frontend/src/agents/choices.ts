/** The agents that can be asked, for whoever offers a choice. No JSX, no DOM. */
import { computed, signal } from "@preact/signals";
import type { AgentRow, Commands } from "../api.gen";
import { BridgeError } from "../bridge";

export type AgentChoices = ReturnType<typeof createAgentChoices>;

/** The agent of new conversations. */
export const DEFAULT_AGENT = "assistant";
/** What it calls itself: said nowhere, because it answers unless something else is said. */
export const DEFAULT_LABEL = "Assistant";

export function createAgentChoices(api: Pick<Commands, "agents">) {
  const rows = signal<AgentRow[]>([]);
  const active = computed(() => rows.value.filter(({ is_active }) => is_active));

  async function load(): Promise<void> {
    try {
      rows.value = await api.agents.list();
    } catch (error) {
      // The list of before stays; the next event or reset asks again.
      if (!(error instanceof BridgeError)) throw error;
    }
  }

  /** The label of an agent; its name where it is not known, as of one that was deleted. */
  function labelOf(name: string): string {
    if (name === DEFAULT_AGENT && rows.value.length === 0) return DEFAULT_LABEL;
    return rows.value.find((row) => row.name === name)?.label ?? name;
  }

  /** The model that an agent has of its own; null where it takes the conversation's. */
  const modelOf = (name: string): string | null => rows.value.find((row) => row.name === name)?.model ?? null;

  return { rows, active, load, labelOf, modelOf };
}
