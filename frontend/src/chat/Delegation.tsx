import { type ReadonlySignal, useSignal, useSignalEffect } from "@preact/signals";
import { Bot, ChevronRight } from "lucide-preact";
import { useEffect } from "preact/hooks";
import type { ToolCallPart } from "../api.gen";
import type { App } from "../app/app";
import { Problem } from "../ui/Problem";
import type { Conversation } from "./conversation";
import { showInvisible } from "./invisible";
import type { MessageState } from "./message";
import { ReplyParts } from "./ReplyParts";
import { CallDetails, statusOf } from "./ToolCall";
import { Waiting } from "./Waiting";

interface Props {
  app: App;
  conversation: Conversation;
  /** The reply that asks the other agent. */
  message: MessageState;
  position: number;
  call: ReadonlySignal<ToolCallPart>;
}

/**
 * What another agent did for this one, inside the call that asked it. It opens by itself when something in it
 * waits for the user.
 */
export function Delegation({ app, conversation, message, position, call }: Props) {
  const { name, status } = call.value;
  const delegation = conversation.delegationOf(message.id);
  const answers = delegation.messages.value.filter(({ row }) => row.value.call_position === position);
  const isEnded = status === "finished" || status === "failed";
  const isOpen = useSignal(false);
  const label = answers.at(-1)?.row.value.agent ?? name;
  const isAsking = answers.some((answer) => conversation.questionsIn(answer).length > 0);
  const isStopped = status === "failed" && answers.at(-1)?.row.value.status === "stopped";
  const state = isStopped ? "Stopped" : statusOf(call.value);

  // Of a call that has ended nothing can wait; its answer is fetched when someone wants to read it.
  useEffect(() => {
    if (!isEnded || isOpen.value) conversation.openDelegated(message.id);
  }, [isEnded, isOpen.value]);
  useSignalEffect(() => {
    const { messages } = conversation.delegationOf(message.id);
    const own = messages.value.filter(({ row }) => row.value.call_position === position);
    if (own.some((answer) => conversation.questionsIn(answer).length > 0)) isOpen.value = true;
  });

  return (
    <details
      class="disclosure tool-call delegation"
      data-testid="tool-call"
      data-status={isStopped ? "stopped" : status}
      open={isOpen.value}
      onToggle={(event) => {
        isOpen.value = event.currentTarget.open;
      }}
    >
      <summary>
        <ChevronRight class="disclosure-mark" size={16} aria-hidden="true" />
        <Bot size={16} strokeWidth={1.75} aria-hidden="true" />
        <span class="delegation-name">{showInvisible(label)}</span>
        <span class={`tool-status ${isAsking ? "asking" : ""}`}>{isAsking ? "Needs you" : state}</span>
      </summary>
      {isOpen.value && (
        <div class="disclosure-body delegation-body">
          {delegation.problem.value && (
            <Problem
              message={delegation.problem.value.message}
              hint={delegation.problem.value.hint}
              requestId={delegation.problem.value.requestId}
            >
              <button
                type="button"
                class="button"
                onClick={() => void conversation.loadDelegated(message.id)}
              >
                Try again
              </button>
            </Problem>
          )}
          {answers.map((answer) => (
            <Answer key={answer.id} app={app} conversation={conversation} message={answer} />
          ))}
          <details class="quiet-details">
            <summary>What it was asked, and what it handed back</summary>
            <CallDetails call={call.value} />
          </details>
        </div>
      )}
    </details>
  );
}

function Answer({ app, conversation, message }: Pick<Props, "app" | "conversation" | "message">) {
  const { status, error } = message.row.value;
  return (
    <section class="delegated" aria-label={message.row.value.agent ?? "Agent"} data-status={status}>
      <ReplyParts app={app} conversation={conversation} message={message} />
      {status === "streaming" && <Waiting conversation={conversation} message={message} />}
      {status === "failed" && (
        <Problem
          message={error?.message ?? "It failed."}
          hint={error?.hint ?? ""}
          requestId={error?.request_id}
        />
      )}
      {status === "stopped" && <p class="muted">It was stopped.</p>}
    </section>
  );
}
