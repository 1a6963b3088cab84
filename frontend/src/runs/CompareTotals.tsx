import type { RunTotals } from "../api.gen";
import type { App } from "../app/app";
import { formatMoment } from "../ui/format";
import { figuresOf } from "./compare";

interface Props {
  app: App;
  left: RunTotals;
  right: RunTotals;
}

/** What both runs were and took, and how much more or less the second one did. */
export function CompareTotals({ app, left, right }: Props) {
  return (
    <section aria-label="Both runs">
      <table class="compare-totals">
        <thead>
          <tr>
            <td />
            {[left, right].map((totals) => (
              <th key={totals.run_id} scope="col">
                <button
                  type="button"
                  class="link"
                  onClick={() => app.inspectRun(totals.run_id, totals.conversation_id)}
                >
                  Run {totals.run_id}
                </button>
              </th>
            ))}
            <th scope="col">Difference</th>
          </tr>
        </thead>
        <tbody>
          <tr>
            <th scope="row">Answered by</th>
            <td>{answererOf(left)}</td>
            <td>{answererOf(right)}</td>
            <td class="muted">{answererOf(left) === answererOf(right) ? "same" : "different"}</td>
          </tr>
          <tr>
            <th scope="row">When</th>
            <td>{formatMoment(left.start_ms)}</td>
            <td>{formatMoment(right.start_ms)}</td>
            <td />
          </tr>
          <tr>
            <th scope="row">Ended</th>
            <td>{endOf(left)}</td>
            <td>{endOf(right)}</td>
            <td class="muted">{left.status === right.status ? "same" : "different"}</td>
          </tr>
          {figuresOf(left, right).map(({ label, left, right, delta }) => (
            <tr key={label}>
              <th scope="row">{label}</th>
              <td>{left}</td>
              <td>{right}</td>
              <td class="muted">{delta}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </section>
  );
}

const answererOf = ({ agent, model }: RunTotals): string => `${agent} · ${model}`;

const endOf = ({ status, message }: RunTotals): string => (message ? `${status}: ${message}` : status);
