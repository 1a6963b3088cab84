import { useSignal } from "@preact/signals";
import type { ComparedRuns } from "../api.gen";
import type { App } from "../app/app";
import { countsOf, rowsOf } from "./compare";
import { PairLine } from "./PairLine";

/** The steps of two runs in two columns, each beside the one that it belongs to. */
export function PairList({ app, compared }: { app: App; compared: ComparedRuns }) {
  const onlyDifferences = useSignal(false);
  const rows = rowsOf(compared.pairs, onlyDifferences.value);
  const first = compared.pairs.findIndex(({ kind }) => kind === "changed");
  const names: [string, string] = [`run ${compared.left.run_id}`, `run ${compared.right.run_id}`];
  return (
    <section class="pairs" aria-label="Steps">
      <div class="run-actions">
        <button
          type="button"
          class="button"
          aria-pressed={onlyDifferences.value}
          onClick={() => (onlyDifferences.value = !onlyDifferences.value)}
        >
          Only differences
        </button>
        <p class="muted" role="status">
          {countsOf(compared)}
        </p>
        <p class="muted pair-legend">
          <span class="diff-minus">−</span> {names[0]}, <span class="diff-plus">+</span> {names[1]}
        </p>
      </div>
      {rows.length === 0 && <p class="muted">Every step is the same in both runs.</p>}
      {rows.length > 0 && (
        <ol class="pair-rows">
          {rows.map(({ at, pair }) => (
            <PairLine key={at} app={app} pair={pair} names={names} isOpenAtFirst={at === first} />
          ))}
        </ol>
      )}
    </section>
  );
}
