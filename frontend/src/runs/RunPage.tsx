import { useSignal } from "@preact/signals";
import { ArrowLeft, Columns2, Download, RotateCcw } from "lucide-preact";
import { useEffect } from "preact/hooks";
import type { ExportRun, Replayed, RunStory } from "../api.gen";
import type { App } from "../app/app";
import { PageHeader, type SidebarState } from "../app/PageHeader";
import { Problem } from "../ui/Problem";
import { useAction } from "../ui/useAction";
import { CompareDialog } from "./CompareDialog";
import { NodePanel } from "./NodePanel";
import { ReplayResult } from "./ReplayResult";
import { RunSummary } from "./RunSummary";
import { Waterfall } from "./Waterfall";

interface Props {
  app: App;
  runId: number;
  sidebar: SidebarState;
}

/** What was recorded of a run: where the time went, what happened inside what, and what was in it. */
export function RunPage({ app, runId, sidebar }: Props) {
  const told = useSignal<RunStory | null>(null);
  const chosen = useSignal<string | null>(null);
  const replayed = useSignal<Replayed | null>(null);
  const isComparing = useSignal(false);
  const { isBusy, problem, run } = useAction();
  const load = () =>
    run(async () => {
      told.value = await app.api.recordings.story({ run_id: runId });
    });
  useEffect(() => void load(), []);
  const replay = () =>
    run(async () => {
      replayed.value = null;
      replayed.value = await app.api.recordings.replay({ run_id: runId });
    });
  const save = (format: ExportRun["format"]) =>
    run(() => app.api.recordings.export({ run_id: runId, format }));
  const span = told.value?.story.spans.find(({ id }) => id === chosen.value) ?? null;
  return (
    <div class="run-page" data-testid="run-page">
      <PageHeader title={`Run ${runId}`} sidebar={sidebar}>
        <button type="button" class="button quiet" onClick={app.openChat}>
          <ArrowLeft size={14} aria-hidden="true" />
          To the conversation
        </button>
      </PageHeader>
      <div class="run-scroll">
        <div class="run-content">
          {problem.value && <Problem message={problem.value.message} hint={problem.value.hint} />}
          {told.value && <RunSummary told={told.value} onRefresh={() => void load()} />}
          {told.value?.is_recorded && (
            <>
              <div class="run-actions">
                <button type="button" class="button" disabled={isBusy.value} onClick={() => void replay()}>
                  <RotateCcw size={14} aria-hidden="true" />
                  Replay
                </button>
                <button type="button" class="button" onClick={() => (isComparing.value = true)}>
                  <Columns2 size={14} aria-hidden="true" />
                  Compare with…
                </button>
                <button
                  type="button"
                  class="button"
                  disabled={isBusy.value}
                  onClick={() => void save("json")}
                >
                  <Download size={14} aria-hidden="true" />
                  Export
                </button>
                <button
                  type="button"
                  class="button quiet"
                  disabled={isBusy.value}
                  title="When things happened, without what was said"
                  onClick={() => void save("otlp")}
                >
                  Export for OpenTelemetry
                </button>
              </div>
              {isComparing.value && (
                <CompareDialog
                  app={app}
                  runId={told.value.story.run_id}
                  onChoose={(other) =>
                    app.compareRuns(
                      runId,
                      other.run_id,
                      told.value?.story.conversation_id ?? other.conversation_id,
                    )
                  }
                  onClose={() => (isComparing.value = false)}
                />
              )}
              {replayed.value && (
                <ReplayResult replayed={replayed.value} onClose={() => (replayed.value = null)} />
              )}
              <div class="run-columns" data-open={span !== null}>
                <Waterfall told={told.value} chosen={chosen} />
                {span && (
                  <NodePanel
                    key={span.id}
                    app={app}
                    told={told.value}
                    span={span}
                    onClose={() => (chosen.value = null)}
                  />
                )}
              </div>
            </>
          )}
        </div>
      </div>
    </div>
  );
}
