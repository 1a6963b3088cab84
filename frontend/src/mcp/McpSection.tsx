import { useSignal } from "@preact/signals";
import { Plus } from "lucide-preact";
import { useEffect } from "preact/hooks";
import type { App } from "../app/app";
import { Problem } from "../ui/Problem";
import { McpForm } from "./McpForm";
import { McpServerCard } from "./McpServerCard";

export function McpSection({ app }: { app: App }) {
  const { mcp } = app;
  /** The id of the server that is edited; 0 is a new one. */
  const editing = useSignal<number | null>(null);
  useEffect(() => void mcp.load(), []);
  const problem = mcp.loadProblem.value;
  const done = () => {
    editing.value = null;
  };
  return (
    <>
      <p class="lead">
        MCP servers give models new tools: your files, your calendar, a database. Each is a program or a
        service by somebody else. Add only those that you trust.
      </p>
      {problem && (
        <Problem message={problem.message} hint={problem.hint} requestId={problem.requestId}>
          <button type="button" class="button" onClick={() => void mcp.load()}>
            Try again
          </button>
        </Problem>
      )}
      {mcp.rows.value?.map((server) =>
        editing.value === server.id ? (
          <section key={server.id} class="card" aria-label={server.name}>
            <McpForm server={server} onPropose={mcp.propose} onDone={done} />
          </section>
        ) : (
          <McpServerCard
            key={server.id}
            app={app}
            server={server}
            onEdit={() => {
              editing.value = server.id;
            }}
          />
        ),
      )}
      {editing.value === 0 ? (
        <section class="card" aria-label="New server">
          <h2>New server</h2>
          <McpForm server={null} onPropose={mcp.propose} onDone={done} />
        </section>
      ) : (
        <div>
          <button
            type="button"
            class="button"
            data-testid="mcp-add"
            onClick={() => {
              editing.value = 0;
            }}
          >
            <Plus size={14} aria-hidden="true" />
            Add a server
          </button>
        </div>
      )}
    </>
  );
}
