import { useEffect, useMemo } from "preact/hooks";
import type { AllTimings, ProviderTiming, StoreTiming, Timing } from "../api.gen";
import type { App } from "../app/app";
import { ErrorList } from "./ErrorList";
import { createFigures } from "./figures";
import { MachineCard } from "./MachineCard";
import { ReportsCard } from "./ReportsCard";
import { type Column, columnsOf, failedPercent, TimingsTable } from "./TimingsTable";
import { formatFine, formatPercent, formatWhole } from "./units";

export function Diagnostics({ app }: { app: App }) {
  const state = app.state.value;
  const figures = useMemo(() => createFigures(app.api), [app]);
  useEffect(() => {
    // Behind another window nobody looks, and a sample every second would be wasted.
    const look = () => (document.hidden ? figures.stop() : void figures.follow());
    look();
    document.addEventListener("visibilitychange", look);
    return () => {
      document.removeEventListener("visibilitychange", look);
      figures.stop();
    };
  }, [figures]);
  return (
    <>
      <section class="card">
        <dl class="facts">
          <div>
            <dt>Version</dt>
            <dd>{state?.version}</dd>
          </div>
          <div>
            <dt>System</dt>
            <dd>{state?.platform}</dd>
          </div>
          <div>
            <dt>Data folder</dt>
            <dd>
              <code>{state?.data_folder}</code>
            </dd>
          </div>
        </dl>
      </section>
      <ErrorList app={app} />
      <ReportsCard app={app} />
      <MachineCard figures={figures} />
      {figures.timings.value && <Tables timings={figures.timings.value} />}
    </>
  );
}

const itself = (row: Timing) => row;
const calls = (row: ProviderTiming) => row.calls;
const run = (row: StoreTiming) => row.run;

const FAILED: Column<Timing> = { label: "Failed", value: failedPercent, format: formatPercent };
const PROVIDER: Column<ProviderTiming>[] = [
  { label: "Calls", value: ({ calls }) => calls.count, format: formatWhole },
  { label: "Failed", value: ({ calls }) => failedPercent(calls), format: formatPercent },
  { label: "Begins", value: ({ head }) => head?.p50_ms ?? null, format: formatFine },
  { label: "First word", value: ({ first }) => first?.p50_ms ?? null, format: formatFine },
  { label: "Ends", value: ({ whole }) => whole?.p50_ms ?? null, format: formatFine },
  { label: "Tokens/s", value: ({ tokens_per_s }) => tokens_per_s, format: formatWhole },
];
const STORE: Column<StoreTiming>[] = [
  ...columnsOf(run),
  { label: "Waits, 95 %", value: ({ queue }) => queue.p95_ms, format: formatFine },
];

function Tables({ timings }: { timings: AllTimings }) {
  return (
    <>
      <TimingsTable
        title="Providers"
        about="Since Deskside was started. Half of the answers began, said their first word and ended within these times."
        nothing="No model was asked since Deskside was started."
        rows={timings.providers}
        timing={calls}
        columns={PROVIDER}
        first="First word"
      />
      <TimingsTable
        title="Tools"
        about="Since Deskside was started, without the time that a call waited for you."
        nothing="No tool was used since Deskside was started."
        rows={timings.tools}
        timing={itself}
        columns={[...columnsOf(itself), FAILED]}
        first="95 % under"
      />
      <TimingsTable
        title="Commands"
        about="What the window asks Deskside for, since it was started."
        nothing="No command was used yet."
        rows={timings.commands}
        timing={itself}
        columns={columnsOf(itself)}
        first="95 % under"
      />
      <TimingsTable
        title="Store"
        about="What reads and writes the database, since Deskside was started."
        nothing="The database was not used yet."
        rows={timings.store}
        timing={run}
        columns={STORE}
        first="95 % under"
      />
    </>
  );
}
