import { useSignal } from "@preact/signals";
import { Copy, Download, FileUp, Pencil, Plus, Trash2 } from "lucide-preact";
import { useRef } from "preact/hooks";
import type { AgentRow, AgentToImport, ImportAgentInput } from "../api.gen";
import type { App } from "../app/app";
import { IconButton } from "../ui/IconButton";
import { Switch } from "../ui/Switch";
import { AgentForm } from "./AgentForm";
import { AgentIcon } from "./AgentIcon";
import { DEFAULT_AGENT } from "./choices";
import { FieldsCard } from "./FieldsCard";
import { ImportDialog } from "./ImportDialog";

export function AgentsSection({ app }: { app: App }) {
  const { agents, api, toasts } = app;
  /** The agent that is edited; null for a new one, undefined for none. */
  const editing = useSignal<AgentRow | null | undefined>(undefined);
  /** What is in the chosen file, where an agent of its name is here already. */
  const taken = useSignal<AgentToImport | null>(null);
  const card = useRef<HTMLElement>(null);

  const close = () => {
    editing.value = undefined;
    requestAnimationFrame(() => card.current?.focus());
  };
  const duplicate = (row: AgentRow) => toasts.attempt(() => api.agents.duplicate({ id: row.id }));
  const remove = async (row: AgentRow) => {
    if (!(await toasts.attempt(() => api.agents.delete({ id: row.id })))) return;
    const restore = () => void toasts.attempt(() => api.agents.restore({ id: row.id }));
    toasts.show({
      level: "info",
      message: `“${row.label}” was deleted.`,
      hint: "",
      action: { label: "Undo", run: restore },
    });
  };
  const exportFile = (row: AgentRow) =>
    toasts.attempt(async () => {
      const { path } = await api.agents.export_file({ name: row.name });
      if (path) toasts.show({ level: "info", message: `“${row.label}” was exported.`, hint: path });
    });
  const importAgent = async (choice: ImportAgentInput) => {
    const { agent, notes } = await api.agents.import_(choice);
    toasts.show({
      level: notes.length > 0 ? "warning" : "info",
      message: `“${agent.label}” was imported.`,
      hint: notes.join(" "),
      action: {
        label: "Look at it",
        run: () => {
          editing.value = agent;
        },
      },
    });
  };
  const importFile = () =>
    toasts.attempt(async () => {
      const { found } = await api.agents.open_file();
      if (found === null) return;
      if (found.free_name === found.name) await importAgent({ json: found.json });
      else taken.value = found;
    });

  if (editing.value !== undefined) {
    return <AgentForm key={editing.value?.id ?? "new"} app={app} row={editing.value} onClose={close} />;
  }
  return (
    <>
      <section ref={card} class="card" aria-label="Agents" tabIndex={-1}>
        <p class="muted">
          An agent answers in its own way: with its own instructions, model, tools and limits. Choose one
          below the message box.
        </p>
        <ul class="list">
          {agents.rows.value.map((row) => (
            <li key={row.id} class="list-row agent-row" data-active={row.is_active}>
              <AgentIcon icon={row.icon} size={20} />
              <div class="list-text">
                <strong>{row.label}</strong>
                <span class="muted">
                  <code>{row.name}</code> · {row.model ? app.models.labelOf(row.model) : "the chat’s model"}
                </span>
              </div>
              <div class="agent-actions">
                <IconButton
                  icon={Pencil}
                  label={`Edit ${row.label}`}
                  onClick={() => {
                    editing.value = row;
                  }}
                />
                <IconButton
                  icon={Copy}
                  label={`Duplicate ${row.label}`}
                  onClick={() => void duplicate(row)}
                />
                <IconButton
                  icon={Download}
                  label={`Export ${row.label}`}
                  onClick={() => void exportFile(row)}
                />
                {row.name !== DEFAULT_AGENT && (
                  <IconButton icon={Trash2} label={`Delete ${row.label}`} onClick={() => void remove(row)} />
                )}
              </div>
              {row.name === DEFAULT_AGENT ? (
                <span class="tag">default</span>
              ) : (
                <Switch
                  label={`${row.label} can be chosen`}
                  isOn={row.is_active}
                  onChange={(is_active) =>
                    void toasts.attempt(() => api.agents.change({ id: row.id, is_active }))
                  }
                />
              )}
            </li>
          ))}
        </ul>
        <div class="actions">
          <button
            type="button"
            class="button"
            onClick={() => {
              editing.value = null;
            }}
          >
            <Plus size={14} aria-hidden="true" />
            New agent
          </button>
          <button type="button" class="button quiet" onClick={() => void importFile()}>
            <FileUp size={14} aria-hidden="true" />
            Import from a file
          </button>
        </div>
      </section>
      <FieldsCard app={app} />
      {taken.value && (
        <ImportDialog
          found={taken.value}
          onImport={importAgent}
          onClose={() => {
            taken.value = null;
          }}
        />
      )}
    </>
  );
}
