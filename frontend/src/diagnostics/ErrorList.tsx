import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import type { ErrorRow } from "../api.gen";
import type { App } from "../app/app";
import { formatCount, formatMoment } from "../ui/format";
import { Problem } from "../ui/Problem";
import { RequestId } from "../ui/RequestId";
import { useAction } from "../ui/useAction";
import { CopyReport } from "./CopyReport";
import { hostOf, wordsOf } from "./faults";

/** What failed lately, each kind once, with what helps to find out why. */
export function ErrorList({ app }: { app: App }) {
  const { isBusy, problem, run } = useAction();
  useEffect(() => void run(app.faults.load), []);
  const rows = app.faults.rows.value ?? [];
  const dsn = app.settings.value?.sentry_dsn;
  return (
    <section class="card" aria-labelledby="errors">
      <div class="found-heading">
        <h2 id="errors">What went wrong</h2>
        <div class="actions">
          <CopyReport label="Copy diagnostics" load={() => app.api.diagnostics.bundle()} />
          {rows.length > 0 && (
            <button
              type="button"
              class="button quiet"
              disabled={isBusy.value}
              onClick={() => void run(app.faults.clear)}
            >
              Clear
            </button>
          )}
        </div>
      </div>
      <p class="muted">
        {dsn ? `Each new kind is reported to ${hostOf(dsn)}.` : "Nothing is sent anywhere."} What you copy
        holds no keys, questions or answers: read it before you pass it on.
      </p>
      {problem.value && (
        <Problem
          message={problem.value.message}
          hint={problem.value.hint}
          requestId={problem.value.requestId}
        />
      )}
      {rows.length === 0 ? (
        <p class="muted">Nothing has gone wrong.</p>
      ) : (
        <ul class="list" data-testid="error-list">
          {rows.map((row) => (
            <ErrorItem key={row.id} app={app} row={row} />
          ))}
        </ul>
      )}
    </section>
  );
}

function ErrorItem({ app, row }: { app: App; row: ErrorRow }) {
  const isOpen = useSignal(false);
  const times =
    row.count === 1 ? "" : `${formatCount(row.count)} times since ${formatMoment(row.first_ms)}, last `;
  const earlier = row.earlier.filter((each) => each.request_id !== "-");
  return (
    <li class="list-row list-row-tall error-row" data-source={row.source}>
      <div class="list-text wraps">
        <span>{wordsOf(row)}</span>
        <span>{row.message}</span>
        <span class="muted">
          {times}
          {formatMoment(row.at_ms)}
          {row.version && ` · version ${row.version}`}
          {row.doing && ` · after ${row.doing.replace(/ \(.*\)$/, "")}`}
        </span>
        {row.request_id !== "-" && <RequestId id={row.request_id} />}
        {(row.detail || row.place) && (
          <details open={isOpen.value} onToggle={(event) => (isOpen.value = event.currentTarget.open)}>
            <summary>Where</summary>
            {/* biome-ignore lint/a11y/noNoninteractiveTabindex: the arrow keys must be able to scroll it. */}
            <pre class="error-detail" tabIndex={0}>
              {[row.place, row.detail].filter(Boolean).join("\n")}
            </pre>
          </details>
        )}
        {earlier.length > 0 && (
          <details data-testid="error-earlier">
            <summary>Earlier requests</summary>
            <ul class="error-earlier">
              {earlier.map((each) => (
                <li key={`${each.at_ms} ${each.request_id}`}>
                  <span class="muted">{formatMoment(each.at_ms)}</span>
                  <RequestId id={each.request_id} />
                </li>
              ))}
            </ul>
          </details>
        )}
      </div>
      <CopyReport label="Copy report" load={() => app.api.diagnostics.error_report({ id: row.id })} />
    </li>
  );
}
