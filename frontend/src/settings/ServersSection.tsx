import { useSignal } from "@preact/signals";
import { Pencil, Plus, Trash2 } from "lucide-preact";
import { useRef } from "preact/hooks";
import type { Server } from "../api.gen";
import type { App } from "../app/app";
import { ModelPicker } from "../models/ModelPicker";
import { IconButton } from "../ui/IconButton";
import { Switch } from "../ui/Switch";
import { FindServers } from "./FindServers";
import { Row } from "./Row";
import { ServerForm } from "./ServerForm";
import { serverId } from "./servers";

export function ServersSection({ app }: { app: App }) {
  const servers = app.settings.value?.servers ?? [];
  const editing = useSignal<string | null>(null);
  const isPickerOpen = useSignal(false);
  const card = useRef<HTMLElement>(null);
  const endEdit = () => {
    editing.value = null;
    requestAnimationFrame(() => card.current?.focus());
  };
  const change = (changed: Server[]) => app.changeSettings({ servers: changed });

  const add = async (fields: Omit<Server, "id">) => {
    if (await change([...servers, { id: serverId(fields.label, servers), ...fields }])) endEdit();
  };
  const edit = async ({ id }: Server, fields: Omit<Server, "id">) => {
    const changed = servers.map((other) => (other.id === id ? { id, ...fields } : other));
    if (await change(changed)) endEdit();
  };
  const remove = async (server: Server) => {
    if (!(await change(servers.filter(({ id }) => id !== server.id)))) return;
    app.toasts.show({
      level: "info",
      message: `“${server.label}” was removed.`,
      hint: "",
      action: { label: "Undo", run: () => void change(servers) },
    });
  };

  return (
    <>
      <section class="card">
        <Row label="Default model" hint="What new chats start with.">
          {() => (
            <ModelPicker
              app={app}
              model={app.state.value?.default_model ?? null}
              isOpen={isPickerOpen}
              onChoose={(model) => void app.setDefaultModel(model)}
            />
          )}
        </Row>
        <Row
          label="Titles by the model"
          hint="The model names each new conversation after its first answer: one more model call."
        >
          {() => (
            <Switch
              label="Let the model name new conversations"
              isOn={app.settings.value?.names_conversations ?? false}
              onChange={(isOn) => void app.changeSettings({ names_conversations: isOn })}
            />
          )}
        </Row>
      </section>
      <section ref={card} class="card" aria-label="Servers" tabIndex={-1}>
        <h2>Servers</h2>
        <p class="muted">
          Any server that speaks OpenAI's language: Ollama, LM Studio, llama.cpp, vLLM, or one in your
          network.
        </p>
        <ul class="list">
          {servers.map((server) => (
            <li key={server.id} class="list-row">
              {editing.value === server.id ? (
                <ServerForm
                  server={server}
                  saveLabel="Save"
                  onSave={(fields) => edit(server, fields)}
                  onCancel={endEdit}
                />
              ) : (
                <>
                  <div class="list-text">
                    <strong>{server.label}</strong>
                    <span class="muted">
                      {server.base_url} · used as <code>{server.id}/…</code>
                      {server.is_free && " · costs nothing"}
                    </span>
                  </div>
                  <IconButton
                    icon={Pencil}
                    label={`Edit ${server.label}`}
                    onClick={() => {
                      editing.value = server.id;
                    }}
                  />
                  <IconButton
                    icon={Trash2}
                    label={`Remove ${server.label}`}
                    onClick={() => void remove(server)}
                  />
                </>
              )}
            </li>
          ))}
        </ul>
        {editing.value === "" ? (
          <ServerForm server={null} saveLabel="Add server" onSave={add} onCancel={endEdit} />
        ) : (
          <button
            type="button"
            class="button"
            onClick={() => {
              editing.value = "";
            }}
          >
            <Plus size={14} aria-hidden="true" />
            Add a server
          </button>
        )}
      </section>
      <section class="card">
        <FindServers
          app={app}
          known={servers.map((server) => server.base_url)}
          chooseLabel="Add"
          onChoose={({ label, base_url }) => void add({ label, base_url, is_free: false })}
        />
      </section>
    </>
  );
}
