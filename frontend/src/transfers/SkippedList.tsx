import type { Skipped, SkippedCount, SkippedReport } from "../api.gen";
import { formatCount } from "../ui/format";
import { countedKind } from "./words";

/** Of more than that nobody reads the names. */
const LISTED = 50;

/** What an import leaves out, by reason; behind each reason stand the things. */
export function SkippedList({ report, isDone }: { report: SkippedReport; isDone: boolean }) {
  const left = report.counts.filter(({ kind }) => kind !== "note");
  const notes = report.counts.filter(({ kind }) => kind === "note");
  return (
    <>
      {left.length > 0 && (
        <Group title={isDone ? "Left out" : "Would be left out"} counts={left} items={report.items} />
      )}
      {notes.length > 0 && <Group title="To know" counts={notes} items={report.items} />}
    </>
  );
}

function Group({ title, counts, items }: { title: string; counts: SkippedCount[]; items: Skipped[] }) {
  return (
    <section class="skipped" aria-label={title}>
      <h3>{title}</h3>
      <div class="skipped-reasons">
        {counts.map((count) => {
          const those = items.filter(({ kind, reason }) => kind === count.kind && reason === count.reason);
          const shown = those.slice(0, LISTED);
          return (
            <details key={`${count.kind} ${count.reason}`}>
              <summary>
                <span>{count.reason}</span>
                <span class="muted">{countedKind(count)}</span>
              </summary>
              <ul>
                {shown.map(({ conversation, what }, at) => (
                  <li key={at}>
                    {conversation && conversation !== what && <span class="muted">{conversation}: </span>}
                    {what}
                  </li>
                ))}
                {count.count > shown.length && (
                  <li class="muted">and {formatCount(count.count - shown.length)} more</li>
                )}
              </ul>
            </details>
          );
        })}
      </div>
    </section>
  );
}
