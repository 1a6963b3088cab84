import { type Frame, highest, linePath, type Point, rangePath, roundedUp } from "./chart";

export interface Line {
  label: string;
  points: Point[];
}

interface Props {
  title: string;
  lines: Line[];
  from: number;
  to: number;
  gap: number;
  begins: string;
  format(value: number): string;
}

/** Lines over time. What they show is also said beside them: each one's last and highest value. */
export function LineChart({ title, lines, from, to, gap, begins, format }: Props) {
  const shown = lines.map((line) => ({ ...line, points: line.points.filter(({ at }) => at >= from) }));
  const frame: Frame = {
    from,
    to,
    gap,
    top: roundedUp(Math.max(...shown.map(({ points }) => highest(points)))),
  };
  return (
    <figure class="chart" aria-label={title}>
      <figcaption>
        <h3>{title}</h3>
        <dl class="chart-lines">
          {shown.map(({ label, points }, place) => (
            <div key={label}>
              <dt>
                <span class={`chart-key line-${place}`} aria-hidden="true" />
                {label}
              </dt>
              <dd>{said(points, format)}</dd>
            </div>
          ))}
        </dl>
      </figcaption>
      <svg class="chart-drawing" viewBox="0 0 100 100" preserveAspectRatio="none" aria-hidden="true">
        <path class="chart-grid" d="M0,0H100M0,50H100M0,100H100" />
        {shown.map(({ label, points }, place) => (
          <g key={label} class={`line-${place}`}>
            {points.some(({ high }) => high !== undefined) && (
              <path class="chart-range" d={rangePath(points, frame)} />
            )}
            <path class="chart-line" d={linePath(points, frame)} />
          </g>
        ))}
      </svg>
      <p class="chart-axis" aria-hidden="true">
        <span>{begins}</span>
        <span>up to {format(frame.top)}</span>
      </p>
    </figure>
  );
}

function said(points: Point[], format: (value: number) => string) {
  const last = points.at(-1);
  if (!last) return <span class="muted">not known</span>;
  return (
    <>
      <strong>{format(last.value)}</strong> <span class="muted">highest {format(highest(points))}</span>
    </>
  );
}
