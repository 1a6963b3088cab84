import type { Findings, RescuedTable } from "../api.gen";
import { formatCount } from "../ui/format";

function describeLost({ lost, may_be_more }: RescuedTable): string {
  if (!may_be_more) return formatCount(lost);
  return lost === 0 ? "not known" : `${formatCount(lost)} or more`;
}

/** What a rescue finds: a line for each kind of thing, and what became of it. */
export function FindingsTable({ findings }: { findings: Findings }) {
  return (
    <>
      <div class="table-scroll">
        <table class="findings" data-testid="findings">
          <thead>
            <tr>
              <th scope="col">What</th>
              <th scope="col">Rescued</th>
              <th scope="col">Put together</th>
              <th scope="col">Lost</th>
            </tr>
          </thead>
          <tbody>
            {findings.lines.map((line) => (
              <tr key={line.name}>
                <th scope="row">{line.name}</th>
                <td>{formatCount(line.rescued)}</td>
                <td>{formatCount(line.rebuilt)}</td>
                <td>{describeLost(line)}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      <p class="muted">
        {findings.is_whole
          ? "Nothing is lost, as far as can be seen."
          : "What is put together was lost itself, and made again from what refers to it: a conversation has its messages, but not its title; a message has its text and its place, but not its date."}
      </p>
      {findings.is_without_wal && (
        <p class="muted">
          The file with the latest changes (-wal) belongs to another database, and was left out.
        </p>
      )}
    </>
  );
}
