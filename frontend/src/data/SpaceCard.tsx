import { Brush } from "lucide-preact";
import type { App } from "../app/app";
import { formatBytes, formatCount } from "../ui/format";
import { Problem } from "../ui/Problem";
import { useAction } from "../ui/useAction";

/** How much room everything takes, and giving some of it back. */
export function SpaceCard({ app }: { app: App }) {
  const action = useAction();
  const found = app.backups.statistics.value;
  if (!found) return null;
  const cleanUp = () =>
    action.run(async () => {
      const { before_bytes, after_bytes } = await app.api.backups.vacuum();
      const message = `The database had ${formatBytes(before_bytes)} and now has ${formatBytes(after_bytes)}.`;
      app.toasts.show({ level: "info", message, hint: "" });
      await app.backups.load();
    });
  const facts: [string, string][] = [
    ["Database", formatBytes(found.database_bytes)],
    ["Unused part of it", formatBytes(found.unused_bytes)],
    ["Recent changes", formatBytes(found.wal_bytes)],
    ["Attached files", formatBytes(found.files_bytes)],
    ["Backups", formatBytes(found.backups_bytes)],
    ["Free on the disk", formatBytes(found.free_bytes)],
  ];
  return (
    <section class="card" aria-label="Space">
      <h2>Space</h2>
      <dl class="facts">
        {facts.map(([name, value]) => (
          <div key={name}>
            <dt>{name}</dt>
            <dd>{value}</dd>
          </div>
        ))}
      </dl>
      <details class="advanced">
        <summary>Tables of the database{found.is_estimate && " (estimated)"}</summary>
        <div class="table-scroll">
          <table>
            <thead>
              <tr>
                <th scope="col">Table</th>
                <th scope="col">Rows</th>
                <th scope="col">Size</th>
              </tr>
            </thead>
            <tbody>
              {found.tables.map((table) => (
                <tr key={table.name}>
                  <th scope="row">{table.name}</th>
                  <td>{formatCount(table.rows)}</td>
                  <td>{formatBytes(table.bytes)}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      </details>
      <p class="muted">
        Cleaning up writes the database anew without its unused parts. What is said meanwhile is saved right
        after.
      </p>
      <button
        type="button"
        class="button"
        disabled={action.isBusy.value || app.backups.job.value !== null}
        onClick={() => void cleanUp()}
      >
        <Brush size={14} aria-hidden="true" />
        Clean up
      </button>
      {action.problem.value && action.problem.value.code !== "cancelled" && (
        <Problem
          message={action.problem.value.message}
          hint={action.problem.value.hint}
          requestId={action.problem.value.requestId}
        />
      )}
    </section>
  );
}
