import { useSignal } from "@preact/signals";
import { Search } from "lucide-preact";
import { useEffect } from "preact/hooks";
import type { FoundServer } from "../api.gen";
import type { App } from "../app/app";
import { Problem } from "../ui/Problem";
import { useAction } from "../ui/useAction";

interface Props {
  app: App;
  /** Addresses that are set up already. */
  known: string[];
  chooseLabel: string;
  onChoose(server: FoundServer): void;
}

/** Servers that answered on this machine. Looks once when it appears. */
export function FindServers({ app, known, chooseLabel, onChoose }: Props) {
  const found = useSignal<FoundServer[] | null>(null);
  const { isBusy, problem, run } = useAction();
  const look = () =>
    run(async () => {
      found.value = await app.api.models.find_servers();
    });
  useEffect(() => void look(), []);
  return (
    <div class="found">
      <div class="found-heading">
        <h3>On this machine</h3>
        <button type="button" class="button quiet" disabled={isBusy.value} onClick={() => void look()}>
          <Search size={14} aria-hidden="true" />
          {isBusy.value ? "Looking…" : "Look again"}
        </button>
      </div>
      {found.value?.length === 0 && (
        <p class="muted">No server answered. Start Ollama, LM Studio, llama.cpp or vLLM, then look again.</p>
      )}
      <ul class="list">
        {found.value?.map((server) => (
          <li key={server.base_url} class="list-row">
            <div class="list-text">
              <strong>{server.label}</strong>
              <span class="muted">
                {server.base_url} · {modelCount(server.model_names.length)}
              </span>
            </div>
            {known.includes(server.base_url) ? (
              <span class="tag">Added</span>
            ) : (
              <button type="button" class="button" onClick={() => onChoose(server)}>
                {chooseLabel}
              </button>
            )}
          </li>
        ))}
      </ul>
      {problem.value && (
        <Problem
          message={problem.value.message}
          hint={problem.value.hint}
          requestId={problem.value.requestId}
        />
      )}
    </div>
  );
}

function modelCount(count: number): string {
  if (count === 0) return "no models yet";
  return count === 1 ? "1 model" : `${count} models`;
}
