import { Play, RotateCcw } from "lucide-preact";
import type { App } from "../app/app";
import { Problem } from "../ui/Problem";
import type { Conversation } from "./conversation";
import type { MessageState } from "./message";
import { remedyFor } from "./remedy";

interface Props {
  app: App;
  conversation: Conversation;
  message: MessageState;
  onChooseModel(): void;
}

/** How a reply ended when it did not end by itself, and what can be done. */
export function ReplyEnd({ app, conversation, message, onChooseModel }: Props) {
  const { status, error } = message.row.value;
  if (status === "complete" || status === "streaming") return null;
  const isBusy = conversation.running.value !== null;
  const isAsking = conversation.questionsIn(message).length > 0;
  const hasText = message.parts.value.length > 0;
  const remedy = status === "failed" && error ? remedyFor(error.code, app, onChooseModel) : null;
  const actions = (
    <>
      {remedy && (
        <button type="button" class="button primary" onClick={remedy.run}>
          {remedy.label}
        </button>
      )}
      {/* What waits is answered in its card; then the answer goes on by itself. */}
      {hasText && !isAsking && (
        <button
          type="button"
          class="button"
          disabled={isBusy}
          onClick={() => void conversation.continueReply(message.id)}
        >
          <Play size={14} aria-hidden="true" />
          Continue
        </button>
      )}
      <button
        type="button"
        class="button"
        data-testid="error-retry"
        disabled={isBusy}
        onClick={() => void conversation.retry(message.id)}
      >
        <RotateCcw size={14} aria-hidden="true" />
        Retry
      </button>
    </>
  );
  if (status === "failed") {
    return (
      <Problem
        message={error?.message ?? "The answer failed."}
        hint={error?.hint ?? ""}
        requestId={error?.request_id}
      >
        {actions}
      </Problem>
    );
  }
  return (
    <div class="reply-end">
      <p class="muted">{endOf(message, isAsking)}</p>
      <div class="actions">{actions}</div>
    </div>
  );
}

function endOf(message: MessageState, isAsking: boolean): string {
  if (message.row.value.status === "stopped") {
    const isPaused = message.parts.value.at(-1)?.kind === "pause";
    return isPaused ? "The answer ends at this limit." : "You stopped this answer.";
  }
  return isAsking
    ? "Deskside was closed while this waited for you. Answer above, and it goes on."
    : "This answer was interrupted when Deskside closed.";
}
