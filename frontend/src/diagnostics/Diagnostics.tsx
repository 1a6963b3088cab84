import { useSignal } from "@preact/signals";
import { RefreshCw } from "lucide-preact";
import { useEffect } from "preact/hooks";
import type { CommandTiming } from "../api.gen";
import type { App } from "../app/app";
import { formatCount, formatDuration } from "../ui/format";
import { Problem } from "../ui/Problem";
import { useAction } from "../ui/useAction";
import { ErrorList } from "./ErrorList";

export function Diagnostics({ app }: { app: App }) {
  const state = app.state.value;
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
      <Timings app={app} />
    </>
  );
}

function Timings({ app }: { app: App }) {
  const timings = useSignal<CommandTiming[]>([]);
  const { isBusy, problem, run } = useAction();
  const load = () =>
    run(async () => {
      timings.value = await app.api.diagnostics.timings();
    });
  useEffect(() => void load(), []);
  return (
    <section class="card">
      <div class="found-heading">
        <h2 id="timings">How long commands take</h2>
        <button type="button" class="button quiet" disabled={isBusy.value} onClick={() => void load()}>
          <RefreshCw size={14} aria-hidden="true" />
          Refresh
        </button>
      </div>
      {problem.value && (
        <Problem
          message={problem.value.message}
          hint={problem.value.hint}
          requestId={problem.value.requestId}
        />
      )}
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: the arrow keys must be able to scroll it. */}
      <section class="table-scroll" aria-labelledby="timings" tabIndex={0}>
        <table>
          <thead>
            <tr>
              <th scope="col">Command</th>
              <th scope="col">Calls</th>
              <th scope="col">Mean</th>
              <th scope="col">Half under</th>
              <th scope="col">95 % under</th>
              <th scope="col">Longest</th>
            </tr>
          </thead>
          <tbody>
            {timings.value.map(({ command, count, mean_ms, p50_ms, p95_ms, max_ms }) => (
              <tr key={command}>
                <th scope="row">{command}</th>
                <td>{formatCount(count)}</td>
                {[mean_ms, p50_ms, p95_ms, max_ms].map((ms, column) => (
                  <td key={column}>{formatDuration(ms)}</td>
                ))}
              </tr>
            ))}
          </tbody>
        </table>
      </section>
    </section>
  );
}
