import { useSignal } from "@preact/signals";
import { Fragment } from "preact";
import type { Timing } from "../api.gen";
import { formatCount } from "../ui/format";
import { formatFine } from "./units";

/** `value` is what a column is sorted by; null has none. */
export interface Column<Row> {
  label: string;
  value(row: Row): number | null;
  format(value: number): string;
}

interface Props<Row> {
  title: string;
  about: string;
  nothing: string;
  rows: Row[];
  timing(row: Row): Timing;
  columns: Column<Row>[];
  /** Which column is sorted by at first. */
  first: string;
}

const SHORT = 8;
// Not the other side's fault.
const ENDED_BY_USER = new Set(["stopped", "cancelled"]);

/** What is slow, first. */
export function TimingsTable<Row>({ title, about, nothing, rows, timing, columns, first }: Props<Row>) {
  const sorted = useSignal(first);
  const isWhole = useSignal(false);
  const by = columns.find(({ label }) => label === sorted.value);
  const ordered = [...rows].sort((a, b) => (by?.value(b) ?? -1) - (by?.value(a) ?? -1));
  const shown = isWhole.value ? ordered : ordered.slice(0, SHORT);
  return (
    <section class="card" aria-label={title}>
      <h2>{title}</h2>
      <p class="muted">{rows.length > 0 ? about : nothing}</p>
      {rows.length > 0 && (
        // biome-ignore lint/a11y/noNoninteractiveTabindex: the arrow keys must be able to scroll it.
        <section class="table-scroll timings" aria-label={`${title}, table`} tabIndex={0}>
          <table>
            <thead>
              <tr>
                <th scope="col">Name</th>
                {columns.map(({ label }) => (
                  <th key={label} scope="col" aria-sort={label === sorted.value ? "descending" : undefined}>
                    <button type="button" class="sort" onClick={() => (sorted.value = label)}>
                      {label}
                      {label === sorted.value && <span aria-hidden="true">{"\u00a0"}↓</span>}
                    </button>
                  </th>
                ))}
              </tr>
            </thead>
            <tbody>
              {shown.map((row) => (
                <TimingRow key={timing(row).name} row={row} timing={timing(row)} columns={columns} />
              ))}
            </tbody>
          </table>
        </section>
      )}
      {rows.length > SHORT && (
        <button type="button" class="button quiet" onClick={() => (isWhole.value = !isWhole.value)}>
          {isWhole.value ? "Show fewer" : `Show all ${formatCount(rows.length)}`}
        </button>
      )}
    </section>
  );
}

function TimingRow<Row>({ row, timing, columns }: { row: Row; timing: Timing; columns: Column<Row>[] }) {
  const failures = Object.entries(timing.failures).sort(([, a], [, b]) => b - a);
  return (
    <tr>
      <th scope="row">
        {timing.name.split(/(?<=[._])/).map((piece, place) => (
          <Fragment key={place}>
            {piece}
            <wbr />
          </Fragment>
        ))}
        {failures.map(([code, count]) => (
          <span key={code} class={ENDED_BY_USER.has(code) ? "failure muted" : "failure"}>
            {formatCount(count)} × {code.replaceAll("_", " ")}
          </span>
        ))}
      </th>
      {columns.map(({ label, value, format }) => {
        const found = value(row);
        return <td key={label}>{found === null ? "–" : format(found)}</td>;
      })}
    </tr>
  );
}

/** The columns that all tables have. */
export function columnsOf<Row>(timing: (row: Row) => Timing): Column<Row>[] {
  return [
    { label: "Calls", value: (row) => timing(row).count, format: formatCount },
    { label: "Half under", value: (row) => timing(row).p50_ms, format: formatFine },
    { label: "95 % under", value: (row) => timing(row).p95_ms, format: formatFine },
    { label: "Longest", value: (row) => timing(row).max_ms, format: formatFine },
  ];
}

/** Of a hundred calls, how many failed, not counting those that the user ended. */
export function failedPercent({ count, failures }: Timing): number {
  const failed = Object.entries(failures).reduce(
    (sum, [code, times]) => (ENDED_BY_USER.has(code) ? sum : sum + times),
    0,
  );
  return count > 0 ? (100 * failed) / count : 0;
}
