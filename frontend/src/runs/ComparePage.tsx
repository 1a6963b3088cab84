import { useSignal } from "@preact/signals";
import { ArrowLeft, ArrowLeftRight } from "lucide-preact";
import { useEffect } from "preact/hooks";
import type { ComparedRuns } from "../api.gen";
import type { App } from "../app/app";
import { PageHeader, type SidebarState } from "../app/PageHeader";
import { Problem } from "../ui/Problem";
import { useAction } from "../ui/useAction";
import { CompareTotals } from "./CompareTotals";
import { PairList } from "./PairList";

interface Props {
  app: App;
  leftRun: number;
  rightRun: number;
  sidebar: SidebarState;
}

/** Two runs side by side: what they took, and step by step what is the same and what is other. */
export function ComparePage({ app, leftRun, rightRun, sidebar }: Props) {
  const compared = useSignal<ComparedRuns | null>(null);
  const { problem, run } = useAction();
  useEffect(() => {
    void run(async () => {
      compared.value = await app.api.recordings.compare({ left_run: leftRun, right_run: rightRun });
    });
  }, []);
  const found = compared.value;
  return (
    <div class="run-page" data-testid="compare-page">
      <PageHeader title={`Runs ${leftRun} and ${rightRun}`} sidebar={sidebar}>
        {found && (
          <button
            type="button"
            class="button quiet"
            onClick={() => app.compareRuns(rightRun, leftRun, found.right.conversation_id)}
          >
            <ArrowLeftRight size={14} aria-hidden="true" />
            Swap sides
          </button>
        )}
        <button type="button" class="button quiet" onClick={app.openChat}>
          <ArrowLeft size={14} aria-hidden="true" />
          To the conversation
        </button>
      </PageHeader>
      <div class="run-scroll">
        <div class="run-content">
          {problem.value && <Problem message={problem.value.message} hint={problem.value.hint} />}
          {found && (
            <>
              <CompareTotals app={app} left={found.left} right={found.right} />
              <PairList app={app} compared={found} />
            </>
          )}
        </div>
      </div>
    </div>
  );
}
