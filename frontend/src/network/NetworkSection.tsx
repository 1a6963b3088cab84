import { useEffect } from "preact/hooks";
import type { HostTotal } from "../api.gen";
import type { App } from "../app/app";
import { Row } from "../settings/Row";
import { formatAgo, formatBytes, formatCount } from "../ui/format";
import { Problem } from "../ui/Problem";
import { Switch } from "../ui/Switch";
import { Bytes } from "./Bytes";
import { Connections } from "./Connections";
import { KINDS, PERIODS } from "./network";

export function NetworkSection({ app }: { app: App }) {
  const { network } = app;
  useEffect(() => {
    void network.load();
    return network.leave;
  }, []);
  const problem = network.problem.value;
  return (
    <>
      <p class="lead">
        What leaves this computer: to whom, why and how much. Every connection that Deskside makes is noted
        here. The list stays on this computer, and goes back 30 days.
      </p>
      <OfflineCard app={app} />
      {problem && (
        <Problem message={problem.message} hint={problem.hint}>
          <button type="button" class="button" onClick={() => void network.load()}>
            Try again
          </button>
        </Problem>
      )}
      {network.rows.value && (
        <>
          <Totals app={app} />
          <Connections app={app} rows={network.rows.value} />
        </>
      )}
    </>
  );
}

function OfflineCard({ app }: { app: App }) {
  return (
    <section class="card" aria-label="Offline">
      <Row label="Stay offline" hint="Nothing leaves this computer. Models that run on it go on working.">
        {() => (
          <Switch
            label="Stay offline"
            isOn={app.settings.value?.is_offline ?? false}
            onChange={(isOffline) => void app.setOffline(isOffline)}
          />
        )}
      </Row>
    </section>
  );
}

function Totals({ app }: { app: App }) {
  const { network } = app;
  const totals = network.totals.value;
  const sent = totals.reduce((sum, total) => sum + total.sent_bytes, 0);
  const received = totals.reduce((sum, total) => sum + total.received_bytes, 0);
  return (
    <section class="card" aria-labelledby="network-hosts">
      <div class="found-heading">
        <h2 id="network-hosts">By host</h2>
        <select
          class="field compact"
          aria-label="Period"
          value={network.days.value}
          onChange={(event) => {
            const days = Number(event.currentTarget.value);
            network.show(() => {
              network.days.value = days;
            });
          }}
        >
          {PERIODS.map(({ days, label }) => (
            <option key={days} value={days}>
              {label}
            </option>
          ))}
        </select>
      </div>
      {totals.length === 0 ? (
        <p class="muted">Nobody.</p>
      ) : (
        <>
          <p class="muted" data-testid="network-total">
            {formatBytes(sent)} sent and {formatBytes(received)} received in all.
          </p>
          <ul class="list">
            {totals.map((total) => (
              <HostItem key={`${total.host}${total.is_loopback}`} app={app} total={total} />
            ))}
          </ul>
        </>
      )}
    </section>
  );
}

function HostItem({ app, total }: { app: App; total: HostTotal }) {
  const { network } = app;
  const isChosen = network.host.value === total.host;
  const { uses, refused } = total;
  const last = formatAgo(total.last_ms, Date.now());
  const when = uses === 1 ? `once, ${last}` : `${formatCount(uses)} times, the last one ${last}`;
  return (
    <li class="list-row list-row-tall" data-testid="network-host">
      <div class="list-text wraps">
        <button
          type="button"
          class="link network-name"
          aria-pressed={isChosen}
          title={isChosen ? "Show all hosts below" : "Show only this host below"}
          onClick={() =>
            network.show(() => {
              network.host.value = isChosen ? "" : total.host;
            })
          }
        >
          {total.host}
          {total.is_loopback && " (this computer)"}
        </button>
        <p class="muted">{total.purposes.map((kind) => KINDS[kind]).join(", ")}</p>
        <p class="muted">
          {when}
          {refused > 0 && ` (${refused === uses ? "all" : formatCount(refused)} kept back: offline)`}
        </p>
      </div>
      <Bytes sent={total.sent_bytes} received={total.received_bytes} isRefused={refused === uses} />
    </li>
  );
}
