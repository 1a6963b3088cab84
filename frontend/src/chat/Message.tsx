import type { App } from "../app/app";
import { Markdown } from "../markdown/Markdown";
import type { Conversation } from "./conversation";
import { MessageActions } from "./MessageActions";
import { type MessageState, type PartState, plainText } from "./message";
import { Reasoning } from "./Reasoning";
import { ReplyEnd } from "./ReplyEnd";
import { ToolCall } from "./ToolCall";

interface Props {
  app: App;
  conversation: Conversation;
  message: MessageState;
  isLast: boolean;
  onChooseModel(): void;
}

export function Message(props: Props) {
  const { role, status } = props.message.row.value;
  return (
    <article
      id={`message-${props.message.id}`}
      class={`message ${role}`}
      data-testid="message"
      data-role={role}
      data-status={status}
      aria-label={role === "user" ? "You" : "Deskside"}
      aria-busy={status === "streaming"}
    >
      {role === "user" ? <div class="bubble">{plainText(props.message)}</div> : <Reply {...props} />}
      <MessageActions {...props} />
    </article>
  );
}

function Reply({ app, conversation, message, onChooseModel }: Props) {
  const parts = message.parts.value;
  const isStreaming = message.row.value.status === "streaming";
  const show = (part: PartState, position: number) => {
    const isGrowing = isStreaming && position === parts.length - 1;
    if (part.kind === "tool_call") return <ToolCall key={position} call={part.call} />;
    if (part.kind === "reasoning") return <Reasoning key={position} text={part.text} isGrowing={isGrowing} />;
    return <Markdown key={position} text={part.text} streaming={isGrowing} onOpenLink={app.openLink} />;
  };
  // What comes before the first words is about the answer, not the answer.
  const found = parts.findIndex((part) => part.kind === "text");
  const first = found < 0 ? parts.length : found;
  return (
    <>
      {parts.slice(0, first).map(show)}
      <div class="response" data-testid="chat-response">
        {parts.slice(first).map((part, index) => show(part, first + index))}
      </div>
      {isStreaming && <Waiting message={message} />}
      <ReplyEnd app={app} conversation={conversation} message={message} onChooseModel={onChooseModel} />
    </>
  );
}

/** Shown until words come: before the first part, and while a failed call is made again. */
function Waiting({ message }: { message: MessageState }) {
  const retrying = message.retrying.value;
  if (retrying) {
    return (
      <p class="muted waiting">
        <span class="dot" aria-hidden="true" />
        Trying again in {Math.ceil(retrying.delay_s)} s: {retrying.message}
      </p>
    );
  }
  if (message.parts.value.at(-1)?.kind === "text") return null;
  return (
    <p class="muted waiting">
      <span class="dot" aria-hidden="true" />
      <span class="visually-hidden">Waiting for the answer</span>
    </p>
  );
}
