import { useSignal } from "@preact/signals";
import { useEffect, useId } from "preact/hooks";
import type { ComparedStep, NodeContent, StepPair } from "../api.gen";
import type { App } from "../app/app";
import { Diff } from "../chat/Diff";
import { showInvisible } from "../chat/invisible";
import { formatDuration } from "../ui/format";
import { Problem } from "../ui/Problem";
import { useAction } from "../ui/useAction";
import { ASPECT_WORDS } from "./compare";
import { NodeSections } from "./NodeSections";
import { KIND_WORDS, STATUS_WORDS } from "./run";

interface Props {
  app: App;
  pair: StepPair;
  names: [string, string];
  isOpenAtFirst: boolean;
}

/** One step of both runs; opened, what is other in it and all that was in it. */
export function PairLine({ app, pair, names, isOpenAtFirst }: Props) {
  const isOpen = useSignal(isOpenAtFirst);
  const showsAll = useSignal(pair.kind !== "changed");
  const bodyId = useId();
  const { kind, depth, left, right, differences } = pair;
  return (
    <li class="pair" data-kind={kind} data-testid="pair" style={{ marginInlineStart: `${depth * 16}px` }}>
      <button
        type="button"
        class="pair-line"
        aria-expanded={isOpen.value}
        aria-controls={bodyId}
        onClick={() => (isOpen.value = !isOpen.value)}
      >
        <Cell step={left} runName={names[0]} />
        <Cell step={right} runName={names[1]} />
        {differences.length > 0 && (
          <span class="pair-aspects">
            <span class="visually-hidden">Different: </span>
            {differences.map(({ aspect }) => (
              <span key={aspect} class="pair-aspect">
                {ASPECT_WORDS[aspect]}
              </span>
            ))}
          </span>
        )}
      </button>
      <div id={bodyId} class="pair-body" hidden={!isOpen.value}>
        {isOpen.value && (
          <>
            {differences.map(({ aspect, diff, is_repeated }) =>
              is_repeated ? (
                <p key={aspect} class="muted">
                  {ASPECT_WORDS[aspect]}: the same difference as above.
                </p>
              ) : (
                <Diff key={aspect} title={ASPECT_WORDS[aspect]} text={diff} />
              ),
            )}
            {showsAll.value ? (
              <div class="pair-contents">
                {[left, right].map(
                  (step, side) =>
                    step && <Content key={side} app={app} step={step} runName={names[side] ?? ""} />,
                )}
              </div>
            ) : (
              <button type="button" class="button quiet" onClick={() => (showsAll.value = true)}>
                Show everything in this step
              </button>
            )}
          </>
        )}
      </div>
    </li>
  );
}

function Cell({ step, runName }: { step: ComparedStep | null; runName: string }) {
  if (!step) return <span class="pair-cell pair-none">Not in {runName}</span>;
  return (
    <span class="pair-cell">
      <span class="pair-head">
        <span class="span-kind">{KIND_WORDS[step.kind]}</span>
        <span class="span-title">{step.name}</span>
        {step.status !== "ok" && <span class="span-status">{STATUS_WORDS[step.status]}</span>}
        <span class="pair-time">{step.took_ms === null ? "?" : formatDuration(step.took_ms)}</span>
      </span>
      {step.excerpts.map((excerpt, at) => (
        <span key={at} class="pair-excerpt">
          {showInvisible(excerpt)}
        </span>
      ))}
    </span>
  );
}

/** All that was in a step, as it was. */
function Content({ app, step, runName }: { app: App; step: ComparedStep; runName: string }) {
  const content = useSignal<NodeContent | null>(null);
  const { problem, run } = useAction();
  useEffect(() => {
    void run(async () => {
      content.value = await app.api.recordings.content({ run_id: step.run_id, n: step.n });
    });
  }, []);
  return (
    <section class="pair-content" aria-label={`In ${runName}`}>
      <h3>In {runName}</h3>
      {problem.value && <Problem message={problem.value.message} hint={problem.value.hint} />}
      {content.value && <NodeSections content={content.value} />}
    </section>
  );
}
