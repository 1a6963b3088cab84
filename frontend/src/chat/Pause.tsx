import { type ReadonlySignal, useSignal } from "@preact/signals";
import { CirclePause } from "lucide-preact";
import { useId, useRef } from "preact/hooks";
import type { PausePart } from "../api.gen";
import type { App } from "../app/app";
import type { Section } from "../app/place";
import { Problem } from "../ui/Problem";
import { useAction } from "../ui/useAction";
import { useArmed } from "./armed";
import type { Conversation } from "./conversation";
import { GuardedButton } from "./GuardedButton";
import type { MessageState } from "./message";

interface Props {
  app: App;
  conversation: Conversation;
  message: MessageState;
  position: number;
  pause: ReadonlySignal<PausePart>;
}

/** The run would pass a limit: the user says whether it goes on. */
export function Pause(props: Props) {
  const { text, status, asked_ms } = props.pause.value;
  if (status === "waiting") return <PauseCard key={asked_ms} {...props} />;
  return (
    <p class="quiet-line">
      <CirclePause size={14} aria-hidden="true" />
      <span>
        {text} {status === "went_on" ? "You let it go on." : "You stopped here."}
      </span>
    </p>
  );
}

function PauseCard({ app, conversation, message, position, pause }: Props) {
  const titleId = useId();
  const buttons = useRef<HTMLDivElement>(null);
  const isArmed = useArmed(buttons);
  const { isBusy, problem, run } = useAction();
  const isSent = useSignal(false);
  const isOff = !isArmed.value || isBusy.value || isSent.value;
  const answer = async (goOn: boolean) => {
    isSent.value = await run(() => conversation.decidePause(message.id, position, goOn));
  };
  return (
    // biome-ignore lint/a11y/useSemanticElements: a fieldset's legend cannot be laid out like a heading.
    <section class="ask" role="group" aria-labelledby={titleId} data-testid="pause">
      <h2 id={titleId} class="ask-title">
        <CirclePause size={18} strokeWidth={1.75} aria-hidden="true" />
        <span>Go on past a limit?</span>
      </h2>
      <p class="ask-summary">{pause.value.text}</p>
      <p class="muted">
        Going on lifts this limit for the rest of this answer. Stopping keeps what is written so far.
      </p>
      {problem.value && (
        <Problem
          message={problem.value.message}
          hint={problem.value.hint}
          requestId={problem.value.requestId}
        />
      )}
      <div ref={buttons} class="ask-buttons">
        <GuardedButton isOff={isOff} onPress={() => void answer(true)}>
          Go on
        </GuardedButton>
        <GuardedButton isOff={isOff} onPress={() => void answer(false)}>
          Stop here
        </GuardedButton>
        <span class="ask-more">
          <button type="button" class="button quiet" onClick={() => app.openSettings(placeOf(pause.value))}>
            Change the limit
          </button>
        </span>
      </div>
    </section>
  );
}

/** Where the limit is set: one of a day or a month for all agents together, the others with the agent. */
function placeOf({ limit }: PausePart): Section {
  return /^(day|month)\./.test(limit) ? "limits" : "agents";
}
