import { useSignal } from "@preact/signals";
import { GitFork, X } from "lucide-preact";
import { useEffect, useRef } from "preact/hooks";
import type { NodeContent, RunStory, Span } from "../api.gen";
import type { App } from "../app/app";
import { IconButton } from "../ui/IconButton";
import { Problem } from "../ui/Problem";
import { useAction } from "../ui/useAction";
import { ForkDialog } from "./ForkDialog";
import { NodeSections } from "./NodeSections";
import { factsOf, forkStepOf, KIND_WORDS, resultIn } from "./run";

interface Props {
  app: App;
  told: RunStory;
  span: Span;
  onClose(): void;
}

/** One node of a run: what is known of it, and all that was in it, as it was. */
export function NodePanel({ app, told, span, onClose }: Props) {
  const content = useSignal<NodeContent | null>(null);
  const isForking = useSignal(false);
  const { problem, run } = useAction();
  const panel = useRef<HTMLElement>(null);
  useEffect(() => {
    // In a narrow window it comes below the tree.
    panel.current?.scrollIntoView({ block: "nearest" });
    void run(async () => {
      content.value = await app.api.recordings.content({ run_id: span.run_id, n: span.n });
    });
  }, []);
  const step = forkStepOf(told, span);
  return (
    <section
      ref={panel}
      class="node-panel"
      aria-label={`${KIND_WORDS[span.kind]} ${span.name}`}
      data-testid="node-panel"
    >
      <header class="node-head">
        <h2>{span.name}</h2>
        <IconButton icon={X} label="Close" onClick={onClose} />
      </header>
      <dl class="node-facts">
        {factsOf(span).map(([label, value]) => (
          <div key={label}>
            <dt>{label}</dt>
            <dd>{value}</dd>
          </div>
        ))}
      </dl>
      {step !== null && (
        <button type="button" class="button" onClick={() => (isForking.value = true)}>
          <GitFork size={14} aria-hidden="true" />
          Fork from here
        </button>
      )}
      {problem.value && <Problem message={problem.value.message} hint={problem.value.hint} />}
      {content.value && <NodeSections content={content.value} />}
      {isForking.value && step !== null && (
        <ForkDialog
          app={app}
          told={told}
          step={step}
          tool={span.kind === "tool" ? { callId: span.call_id, result: resultIn(content.value) } : null}
          onClose={() => (isForking.value = false)}
        />
      )}
    </section>
  );
}
