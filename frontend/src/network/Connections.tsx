import { X } from "lucide-preact";
import { useEffect } from "preact/hooks";
import type { NetworkRow } from "../api.gen";
import type { App } from "../app/app";
import { formatDuration, formatMoment } from "../ui/format";
import { Problem } from "../ui/Problem";
import { useAction } from "../ui/useAction";
import { Bytes } from "./Bytes";
import { KINDS, type Kind, outcomeText, purposeText } from "./network";

const LOOK_AGAIN_MS = 1_000;

/** Each use of a connection, newest first. */
export function Connections({ app, rows }: { app: App; rows: NetworkRow[] }) {
  const { network } = app;
  const { isBusy, problem, run } = useAction();
  const isLive = rows.some(({ outcome }) => outcome === "");
  // Bytes that pass are no event.
  useEffect(() => {
    if (!isLive) return;
    const timer = setInterval(() => void network.load(), LOOK_AGAIN_MS);
    return () => clearInterval(timer);
  }, [isLive]);
  return (
    <section class="card" aria-labelledby="network-uses">
      <h2 id="network-uses">Connections</h2>
      <Filters app={app} />
      {rows.length === 0 ? (
        <p class="muted">None.</p>
      ) : (
        <ul class="list">
          {rows.map((row) => (
            <Use key={row.id} row={row} />
          ))}
        </ul>
      )}
      {problem.value && <Problem message={problem.value.message} hint={problem.value.hint} />}
      {network.hasMore.value && (
        <button type="button" class="button" disabled={isBusy.value} onClick={() => void run(network.more)}>
          Show older ones
        </button>
      )}
    </section>
  );
}

function Filters({ app }: { app: App }) {
  const { network } = app;
  const host = network.host.value;
  return (
    <div class="network-filters">
      <select
        class="field compact"
        aria-label="What for"
        value={network.kind.value ?? ""}
        onChange={(event) => {
          const kind = (event.currentTarget.value || null) as Kind | null;
          network.show(() => {
            network.kind.value = kind;
          });
        }}
      >
        <option value="">Whatever for</option>
        {(Object.keys(KINDS) as Kind[]).map((kind) => (
          <option key={kind} value={kind}>
            {KINDS[kind]}
          </option>
        ))}
      </select>
      {host && (
        <button
          type="button"
          class="button quiet"
          aria-label={`Show all hosts, not only ${host}`}
          onClick={() =>
            network.show(() => {
              network.host.value = "";
            })
          }
        >
          {host}
          <X size={14} aria-hidden="true" />
        </button>
      )}
      <label class="check">
        <input
          type="checkbox"
          checked={network.withLoopback.value}
          onChange={(event) => {
            const isOn = event.currentTarget.checked;
            network.show(() => {
              network.withLoopback.value = isOn;
            });
          }}
        />
        Also within this computer
      </label>
    </div>
  );
}

function Use({ row }: { row: NetworkRow }) {
  const outcome = outcomeText(row.outcome);
  const port = [80, 443, 0].includes(row.port) ? "" : `:${row.port}`;
  return (
    <li class="list-row list-row-tall" data-testid="network-use">
      <div class="list-text wraps">
        <p>{purposeText(row)}</p>
        <p class="muted">
          <span class="network-name">
            {row.host}
            {port}
          </span>
          {row.via && ` through the proxy ${row.via}`}
          {row.is_loopback && " (this computer)"}
        </p>
        <p class="muted">
          {formatMoment(row.at_ms)}
          {row.duration_ms !== null && row.outcome !== "refused" && `, ${formatDuration(row.duration_ms)}`}
          {row.request_id !== "-" && (
            <>
              , request <code>{row.request_id}</code>
            </>
          )}
        </p>
        {outcome && <p class={outcome.isBad ? "network-bad" : "network-note"}>{outcome.text}</p>}
      </div>
      <Bytes sent={row.sent_bytes} received={row.received_bytes} isRefused={row.outcome === "refused"} />
    </li>
  );
}
