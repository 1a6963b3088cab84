import { useSignal } from "@preact/signals";
import { Copy, Download, FileUp, Pencil, Plus, Trash2 } from "lucide-preact";
import { useRef } from "preact/hooks";
import type { AgentRow } from "../api.gen";
import type { App } from "../app/app";
import { BridgeError } from "../bridge";
import { IconButton } from "../ui/IconButton";
import { Problem } from "../ui/Problem";
import { Switch } from "../ui/Switch";
import { AgentForm } from "./AgentForm";
import { AgentIcon } from "./AgentIcon";
import { DEFAULT_AGENT } from "./choices";
import { FieldsCard } from "./FieldsCard";

export function AgentsSection({ app }: { app: App }) {
  const { agents, api, toasts } = app;
  /** The agent that is edited; null for a new one, undefined for none. */
  const editing = useSignal<AgentRow | null | undefined>(undefined);
  /** The file that was chosen, where an agent of its name is here already. */
  const conflict = useSignal<{ json: string; message: string } | null>(null);
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
  const importJson = async (json: string, on_conflict: "rename" | "replace" | "refuse") => {
    try {
      const { agent, notes } = await api.agents.import_({ json, on_conflict });
      conflict.value = null;
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
    } catch (error) {
      if (!(error instanceof BridgeError)) throw error;
      if (error.code === "conflict") conflict.value = { json, message: error.message };
      else toasts.show({ level: "error", message: error.message, hint: error.hint });
    }
  };
  const importFile = () =>
    toasts.attempt(async () => {
      conflict.value = null;
      const { json } = await api.agents.open_file();
      if (json !== null) await importJson(json, "refuse");
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
        {conflict.value && (
          <Problem message={conflict.value.message} hint="What shall become of the one in the file?">
            <button
              type="button"
              class="button"
              onClick={() => void importJson(conflict.value?.json ?? "", "rename")}
            >
              Add it under another name
            </button>
            <button
              type="button"
              class="button danger"
              onClick={() => void importJson(conflict.value?.json ?? "", "replace")}
            >
              Replace the one here
            </button>
            <button
              type="button"
              class="button quiet"
              onClick={() => {
                conflict.value = null;
              }}
            >
              Do not import
            </button>
          </Problem>
        )}
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
    </>
  );
}
