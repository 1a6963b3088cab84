import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import type { RunChoice } from "../api.gen";
import type { App } from "../app/app";
import { Dialog } from "../ui/Dialog";
import { formatMoment } from "../ui/format";
import { Problem } from "../ui/Problem";
import { useAction } from "../ui/useAction";
import { choicesBy } from "./compare";

interface Props {
  app: App;
  runId: number;
  onChoose(other: RunChoice): void;
  onClose(): void;
}

/** The runs that this one may be compared with, those that have most to do with it first. */
export function CompareDialog({ app, runId, onChoose, onClose }: Props) {
  const choices = useSignal<RunChoice[] | null>(null);
  const search = useSignal("");
  const { problem, run } = useAction();
  useEffect(() => {
    void run(async () => {
      choices.value = await app.api.recordings.others({ run_id: runId });
    });
  }, []);
  const groups = choicesBy(choices.value ?? [], search.value);
  return (
    <Dialog title={`Compare run ${runId} with`} class="compare-dialog" onClose={onClose}>
      <div class="dialog-body">
        {problem.value && <Problem message={problem.value.message} hint={problem.value.hint} />}
        {choices.value?.length === 0 && (
          <p class="muted">No other run is recorded. Ask again, or make another version of this answer.</p>
        )}
        {choices.value !== null && choices.value.length > 0 && (
          <input
            type="search"
            class="field"
            placeholder="Search questions, models and agents"
            aria-label="Search questions, models and agents"
            value={search.value}
            onInput={(event) => (search.value = event.currentTarget.value)}
          />
        )}
        {groups.map(({ title, choices }) => (
          <section key={title} class="compare-group" aria-label={title}>
            <h3>{title}</h3>
            <ul>
              {choices.map((choice) => (
                <li key={choice.run_id}>
                  <button type="button" class="compare-choice" onClick={() => onChoose(choice)}>
                    <span class="compare-question">{choice.question || choice.title}</span>
                    <span class="muted">
                      Run {choice.run_id} · {choice.model} · {formatMoment(choice.started_ms)}
                      {choice.status !== "complete" && ` · ${choice.status}`}
                    </span>
                  </button>
                </li>
              ))}
            </ul>
          </section>
        ))}
        {choices.value !== null && choices.value.length > 0 && groups.length === 0 && (
          <p class="muted">No run is found.</p>
        )}
      </div>
    </Dialog>
  );
}
