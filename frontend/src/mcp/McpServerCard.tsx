import { useSignal } from "@preact/signals";
import { Pencil, RotateCw, Trash2 } from "lucide-preact";
import type { McpServerRow, McpToolRow } from "../api.gen";
import type { App } from "../app/app";
import { ConfirmDialog } from "../ui/ConfirmDialog";
import { IconButton } from "../ui/IconButton";
import { Switch } from "../ui/Switch";
import { McpLog } from "./McpLog";
import { McpTexts } from "./McpTexts";
import { SignIn } from "./SignIn";
import { joinCommand, stateText, toReview } from "./servers";
import { Definition, firstLine, ToolReview } from "./ToolReview";

interface Props {
  app: App;
  server: McpServerRow;
  onEdit(): void;
}

export function McpServerCard({ app, server, onEdit }: Props) {
  const isBusy = useSignal(false);
  const isRemoving = useSignal(false);
  const attempt = async (action: () => Promise<unknown>) => {
    isBusy.value = true;
    try {
      await app.toasts.attempt(action);
    } finally {
      isBusy.value = false;
    }
  };
  const { mcp } = app.api;
  const review = toReview(server);
  const tools = server.tools.filter((tool) => tool.accepted && !tool.offered && tool.is_offered);
  return (
    <section class="card mcp-server" aria-label={server.name} data-testid="mcp-server">
      <header class="mcp-heading">
        <span class="mcp-dot" data-state={server.state} aria-hidden="true" />
        <div class="list-text">
          <h2>{server.name}</h2>
          <span class="muted" role="status">
            {stateText(server)}
            {server.state === "ready" && server.title && ` · ${server.title}`}
          </span>
        </div>
        <Switch
          label={`Use ${server.name}`}
          isOn={server.is_enabled}
          onChange={(is_enabled) => void attempt(() => mcp.change({ id: server.id, is_enabled }))}
        />
        <IconButton
          icon={RotateCw}
          label={`Restart ${server.name}`}
          disabled={!server.is_enabled || isBusy.value}
          onClick={() => void attempt(() => mcp.restart({ id: server.id }))}
        />
        <IconButton icon={Pencil} label={`Edit ${server.name}`} onClick={onEdit} />
        <IconButton
          icon={Trash2}
          label={`Remove ${server.name}`}
          onClick={() => {
            isRemoving.value = true;
          }}
        />
      </header>
      {isRemoving.value && (
        <ConfirmDialog
          title={`Remove “${server.name}”?`}
          text="Its secrets are deleted, and you will have to look at its tools again if you add it again."
          action="Remove"
          onConfirm={() => void attempt(() => mcp.remove({ id: server.id }))}
          onClose={() => {
            isRemoving.value = false;
          }}
        />
      )}
      <p class="mcp-command">
        {server.transport === "stdio" ? joinCommand([server.command, ...server.arguments]) : server.url}
      </p>
      {server.reason && <p class="field-problem">{server.reason}</p>}
      <SignIn app={app} server={server} />
      {review.length > 0 && (
        <ToolReview
          server={server.name}
          tools={review}
          isBusy={isBusy.value}
          onAccept={(accepted) => void attempt(() => app.mcp.accept(server.id, accepted))}
        />
      )}
      {tools.length > 0 && (
        <Fold label={tools.length === 1 ? "1 tool" : `${tools.length} tools`}>
          <ul class="list">
            {tools.map((tool) => (
              <Tool
                key={tool.name}
                tool={tool}
                onChange={(is_enabled) =>
                  void attempt(() => mcp.change({ id: server.id, tools: [{ name: tool.name, is_enabled }] }))
                }
              />
            ))}
          </ul>
        </Fold>
      )}
      {(server.has_resources || server.has_prompts) && (
        <Fold label="Resources and prompts">
          <McpTexts app={app} server={server} />
        </Fold>
      )}
      <Fold label="Log">
        <McpLog app={app} server={server} />
      </Fold>
    </section>
  );
}

function Tool({ tool, onChange }: { tool: McpToolRow; onChange(isOn: boolean): void }) {
  const { accepted } = tool;
  if (!accepted) return null;
  return (
    <li class="list-row mcp-tool">
      <details>
        <summary>
          <code>{tool.remote_name}</code>
          <span class="muted">{firstLine(accepted.description)}</span>
        </summary>
        <Definition description={accepted.description} details={accepted.details} />
        <p class="muted">
          Models know it as <code>{tool.name}</code>.
        </p>
      </details>
      <Switch label={`Use ${tool.remote_name}`} isOn={tool.is_enabled} onChange={onChange} />
    </li>
  );
}

/** What is inside exists only while it is open: it asks the server. */
function Fold({ label, children }: { label: string; children: preact.ComponentChildren }) {
  const isOpen = useSignal(false);
  return (
    <details
      class="advanced mcp-fold"
      onToggle={(event) => {
        isOpen.value = event.currentTarget.open;
      }}
    >
      <summary>{label}</summary>
      {isOpen.value && children}
    </details>
  );
}
