import type { Part } from "../api.gen";
import { formatDollars } from "../settings/amounts";
import { daysIn, formatDate, formatMonth, formatSum } from "./costs";

// In the units of the drawing, which grows with the page.
const STEP = 20;
const BAR = 12;
const HEIGHT = 120;
const LEAST = 2;

/** A bar a day, as high as what the day cost. The table beside it says the same in words. */
export function DayChart({ month, days }: { month: string; days: Part[] }) {
  const count = daysIn(month);
  const most = Math.max(...days.map(({ sum }) => sum.cost_nano_usd), 0);
  const width = count * STEP;
  return (
    <figure class="day-chart">
      <figcaption class="muted">{most > 0 ? `Highest day: ${formatDollars(most)}` : "\u00a0"}</figcaption>
      <svg
        viewBox={`0 0 ${width} ${HEIGHT + 18}`}
        role="img"
        aria-label={`What each day of ${formatMonth(month)} cost`}
      >
        <line class="day-chart-base" x1={0} x2={width} y1={HEIGHT + 0.5} y2={HEIGHT + 0.5} />
        {days.map(({ id, sum }) => {
          const x = (Number(String(id).slice(-2)) - 1) * STEP + (STEP - BAR) / 2;
          const height = most > 0 ? Math.max(LEAST, (sum.cost_nano_usd / most) * HEIGHT) : LEAST;
          return (
            <rect
              key={id}
              class={sum.cost_nano_usd > 0 ? "day-chart-bar" : "day-chart-none"}
              x={x}
              y={HEIGHT - height}
              width={BAR}
              height={height}
              rx={2}
            >
              <title>
                {formatDate(String(id))}: {formatSum(sum)}
              </title>
            </rect>
          );
        })}
        {Array.from({ length: count }, (_, index) => index + 1)
          .filter((day) => day === 1 || day % 5 === 0)
          .map((day) => (
            <text key={day} x={(day - 0.5) * STEP} y={HEIGHT + 15} text-anchor="middle">
              {day}
            </text>
          ))}
      </svg>
    </figure>
  );
}
