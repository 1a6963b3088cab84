import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import type { App } from "../app/app";

/** What the user has allowed this agent for good, and the way back. It holds at once, without a save. */
export function AllowedCard({ app, agentId }: { app: App; agentId: number }) {
  const tools = useSignal<string[]>([]);
  const load = async () => {
    tools.value = await app.api.agents.allowed_tools({ id: agentId });
  };
  useEffect(() => void app.toasts.attempt(load), [agentId]);
  const disallow = (tool: string) =>
    app.toasts.attempt(async () => {
      await app.api.agents.disallow_tool({ id: agentId, tool });
      await load();
    });
  if (tools.value.length === 0) return null;
  return (
    <section class="card" aria-label="Used without asking">
      <h2>Used without asking</h2>
      <p class="muted">
        You allowed these tools for this agent. It still asks once there is text from outside in an answer.
      </p>
      <ul class="list">
        {tools.value.map((tool) => (
          <li key={tool} class="list-row">
            <div class="list-text">
              <code>{tool}</code>
            </div>
            <button
              type="button"
              class="button"
              aria-label={`Ask again before ${tool}`}
              onClick={() => void disallow(tool)}
            >
              Ask again
            </button>
          </li>
        ))}
      </ul>
    </section>
  );
}
