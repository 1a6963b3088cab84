import type { App } from "../app/app";
import { Row } from "../settings/Row";
import { Switch } from "../ui/Switch";

const DAYS = [7, 30, 90, 365, 3650];
const MEGABYTES = [100, 500, 1000, 5000, 20_000];

/** Whether runs are recorded, and how long recordings are kept. */
export function RecordingsCard({ app }: { app: App }) {
  const settings = app.settings.value;
  if (!settings) return null;
  const { records_runs, recordings_days, recordings_mb } = settings;
  return (
    <section class="card" aria-label="Recordings of runs">
      <h2>Recordings of runs</h2>
      <Row
        label="Record each answer"
        hint="What models were asked and said, tools and times: for “Inspect run”, replays and traces. Never keys."
      >
        {() => (
          <Switch
            label="Record each answer"
            isOn={records_runs}
            onChange={(isOn) => void app.changeSettings({ records_runs: isOn })}
          />
        )}
      </Row>
      <Row label="Keep them for">
        {({ id }) => (
          <select
            id={id}
            class="field"
            value={recordings_days}
            onChange={(event) =>
              void app.changeSettings({ recordings_days: Number(event.currentTarget.value) })
            }
          >
            {withOwn(DAYS, recordings_days).map((days) => (
              <option key={days} value={days}>
                {days} days
              </option>
            ))}
          </select>
        )}
      </Row>
      <Row label="Keep at most" hint="The oldest go first. The conversations stay.">
        {({ id, hintId }) => (
          <select
            id={id}
            class="field"
            aria-describedby={hintId}
            value={recordings_mb}
            onChange={(event) =>
              void app.changeSettings({ recordings_mb: Number(event.currentTarget.value) })
            }
          >
            {withOwn(MEGABYTES, recordings_mb).map((size) => (
              <option key={size} value={size}>
                {size < 1000 ? `${size} MB` : `${size / 1000} GB`}
              </option>
            ))}
          </select>
        )}
      </Row>
    </section>
  );
}

/** The choices, with what is set now even where it is none of them. */
const withOwn = (choices: readonly number[], own: number): number[] =>
  [...new Set([...choices, own])].sort((a, b) => a - b);
