import { useSignal } from "@preact/signals";
import { useEffect, useId, useRef } from "preact/hooks";
import type { FoundServer, Server } from "../api.gen";
import type { App } from "../app/app";
import { FindServers } from "../settings/FindServers";
import { ServerForm } from "../settings/ServerForm";
import { serverId } from "../settings/servers";

export function StartWithServer({ app }: { app: App }) {
  const chosen = useSignal<FoundServer | null>(null);
  const isTyping = useSignal(false);

  const begin = (fields: Omit<Server, "id">, model: string | null) => {
    const servers = app.settings.value?.servers ?? [];
    const id = serverId(fields.label, servers);
    return app.finishStart({
      servers: [...servers, { id, ...fields }],
      ...(model && { default_model: `${id}/${model}` }),
    });
  };

  if (chosen.value) {
    return (
      <ChooseServerModel
        server={chosen.value}
        onBegin={begin}
        onBack={() => {
          chosen.value = null;
        }}
      />
    );
  }
  return (
    <div class="stack">
      <FindServers
        app={app}
        known={[]}
        chooseLabel="Use"
        onChoose={(server) => {
          chosen.value = server;
        }}
      />
      {isTyping.value ? (
        <ServerForm
          server={null}
          saveLabel="Start chatting"
          onSave={(fields) => begin(fields, null)}
          onCancel={() => {
            isTyping.value = false;
          }}
        />
      ) : (
        <div class="actions">
          <button
            type="button"
            class="button"
            onClick={() => {
              isTyping.value = true;
            }}
          >
            Type an address
          </button>
        </div>
      )}
    </div>
  );
}

interface ChooseServerModelProps {
  server: FoundServer;
  onBegin(fields: Omit<Server, "id">, model: string | null): void;
  onBack(): void;
}

function ChooseServerModel({ server, onBegin, onBack }: ChooseServerModelProps) {
  const model = useSignal(server.model_names[0] ?? "");
  const begin = useRef<HTMLButtonElement>(null);
  const id = useId();
  useEffect(() => begin.current?.focus(), []);
  return (
    <form
      class="stack"
      onSubmit={(event) => {
        event.preventDefault();
        const { label, base_url } = server;
        onBegin({ label, base_url, is_free: false }, model.value || null);
      }}
    >
      {server.model_names.length === 0 ? (
        <p class="muted">{server.label} has no models yet. Fetch one there; Deskside will see it.</p>
      ) : (
        <div>
          <label for={id}>Model on {server.label}</label>
          <select
            id={id}
            class="field"
            value={model.value}
            onChange={(event) => {
              model.value = event.currentTarget.value;
            }}
          >
            {server.model_names.map((name) => (
              <option key={name} value={name}>
                {name}
              </option>
            ))}
          </select>
        </div>
      )}
      <div class="actions">
        <button ref={begin} type="submit" class="button primary">
          Start chatting
        </button>
        <button type="button" class="button quiet" onClick={onBack}>
          Back
        </button>
      </div>
    </form>
  );
}
