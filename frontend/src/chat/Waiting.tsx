import type { ComponentChildren } from "preact";
import { formatCount } from "../ui/format";
import type { Conversation } from "./conversation";
import type { MessageState } from "./message";

/** Shown until words come: before the first part, in the queue, and while a failed call is made again. */
export function Waiting({ conversation, message }: { conversation: Conversation; message: MessageState }) {
  const retrying = message.retrying.value;
  const { queue_place } = message.row.value;
  if (queue_place > 0) {
    const others = queue_place === 1 ? "1 other answer" : `${formatCount(queue_place)} other answers`;
    return <Line>Waiting for {others} to finish</Line>;
  }
  if (retrying) {
    return (
      <Line>
        Trying again in {Math.ceil(retrying.delay_s)} s: {retrying.message}
      </Line>
    );
  }
  const reading = beingRead(conversation, message);
  if (reading.length > 0) return <Line>Reading {reading.join(", ")}</Line>;
  if (message.parts.value.at(-1)?.kind === "text") return null;
  // Nothing is under way while the user is asked.
  if (conversation.questionsIn(message).length > 0) return null;
  return (
    <Line>
      <span class="visually-hidden">Waiting for the answer</span>
    </Line>
  );
}

/** The files that the answer waits for. */
function beingRead(conversation: Conversation, message: MessageState): string[] {
  if (message.parts.value.length > 0) return [];
  const question = conversation.messages.value.find(({ id }) => id === message.row.value.parent_id);
  const files = question?.row.value.attachments ?? [];
  return files.filter(({ text_status }) => text_status === "waiting").map(({ name }) => name);
}

function Line({ children }: { children: ComponentChildren }) {
  return (
    <p class="muted waiting">
      <span class="dot" aria-hidden="true" />
      <span>{children}</span>
    </p>
  );
}
