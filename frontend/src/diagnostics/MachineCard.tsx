import type { Sample } from "../api.gen";
import { formatBytes } from "../ui/format";
import { Problem } from "../ui/Problem";
import { type Figures, HOUR_MS, livePoints, pastPoints, type Series, SPANS, type Span } from "./figures";
import { LineChart } from "./LineChart";
import { formatFine, formatPercent, formatSpeed, formatWhole } from "./units";

const LIVE_GAP_MS = 75_000; // samples are 30 s apart while nobody looks
const MOST_POINTS = 288; // of a history
const SHORTEST_BUCKET_MS = 5 * 60_000;

interface Chart {
  title: string;
  format(value: number): string;
  lines: [label: string, series: Series][];
}

const CHARTS: Chart[] = [
  {
    title: "Processor",
    format: formatPercent,
    lines: [
      ["Deskside", "cpu_percent"],
      ["Whole machine", "machine_cpu_percent"],
    ],
  },
  {
    title: "Memory",
    format: formatBytes,
    lines: [
      ["Deskside", "memory_bytes"],
      ["Whole machine", "machine_memory_bytes"],
    ],
  },
  {
    title: "Threads and files",
    format: formatWhole,
    lines: [
      ["Threads", "threads"],
      ["Open files", "open_files"],
    ],
  },
  {
    title: "Disk",
    format: formatSpeed,
    lines: [
      ["Written", "written_bytes_per_s"],
      ["Read", "read_bytes_per_s"],
    ],
  },
];

/** What Deskside, with all that it started, uses of the machine. */
export function MachineCard({ figures }: { figures: Figures }) {
  const span = figures.span.value;
  const { hours, begins } = SPANS[span];
  const last = figures.samples.value.at(-1);
  const isLive = span === "live";
  const to = Math.max(last?.at_ms ?? 0, figures.history.value.at(-1)?.at_ms ?? 0);
  const spanMs = hours * HOUR_MS;
  const gap = isLive ? LIVE_GAP_MS : Math.max(2 * SHORTEST_BUCKET_MS, (2.5 * spanMs) / MOST_POINTS);
  const points = (series: Series) =>
    isLive ? livePoints(figures.samples.value, series) : pastPoints(figures.history.value, series);
  return (
    <section class="card" aria-label="What Deskside uses">
      <h2>What Deskside uses</h2>
      <fieldset class="segments">
        <legend class="visually-hidden">Time shown</legend>
        {(Object.keys(SPANS) as Span[]).map((value) => (
          <label key={value} class="segment">
            <input
              type="radio"
              name="span"
              value={value}
              checked={span === value}
              onChange={() => void figures.show(value)}
            />
            <span>{SPANS[value].label}</span>
          </label>
        ))}
      </fieldset>
      {figures.problem.value && (
        <Problem message={figures.problem.value.message} hint={figures.problem.value.hint} />
      )}
      <div class="charts">
        {CHARTS.map(({ title, format, lines }) => (
          <LineChart
            key={title}
            title={title}
            format={format}
            lines={lines.map(([label, series]) => ({ label, points: points(series) }))}
            from={to - spanMs}
            to={to}
            gap={gap}
            begins={begins}
          />
        ))}
      </div>
      {!isLive && figures.history.value.length === 0 && (
        <p class="muted">There is no history yet: it is written every five minutes.</p>
      )}
      {last && <Facts last={last} />}
    </section>
  );
}

function Facts({ last }: { last: Sample }) {
  const facts: [string, string | null][] = [
    ["Processes", last.processes === null ? null : formatWhole(last.processes)],
    ["Free on the disk", last.disk_free_bytes === null ? null : formatBytes(last.disk_free_bytes)],
    ["Reading this took", last.sampler_ms === null ? null : formatFine(last.sampler_ms)],
  ];
  return (
    <dl class="facts">
      {facts.map(([name, value]) => (
        <div key={name}>
          <dt>{name}</dt>
          <dd>{value ?? "not known"}</dd>
        </div>
      ))}
    </dl>
  );
}
