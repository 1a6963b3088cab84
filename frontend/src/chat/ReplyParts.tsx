import type { App } from "../app/app";
import { Markdown } from "../markdown/Markdown";
import type { Conversation } from "./conversation";
import type { MessageState, PartState } from "./message";
import { Note } from "./Note";
import { Pause } from "./Pause";
import { Reasoning } from "./Reasoning";
import { ToolCall } from "./ToolCall";

interface Props {
  app: App;
  conversation: Conversation;
  message: MessageState;
  /** For the answer itself; an agent that it asked has none. */
  testId?: string;
}

/** All that a reply consists of, in order; the same for the reply of an agent that another one asked. */
export function ReplyParts({ app, conversation, message, testId }: Props) {
  const parts = message.parts.value;
  const isStreaming = message.row.value.status === "streaming";
  const show = (part: PartState, position: number) => {
    const isGrowing = isStreaming && position === parts.length - 1;
    const place = { conversation, message, position };
    switch (part.kind) {
      case "tool_call":
        return <ToolCall key={position} app={app} {...place} call={part.call} />;
      case "reasoning":
        return <Reasoning key={position} text={part.text} isGrowing={isGrowing} onOpenLink={app.openLink} />;
      case "note":
        return <Note key={position} note={part.note} onOpenLink={app.openLink} />;
      case "pause":
        return <Pause key={position} app={app} {...place} pause={part.pause} />;
      case "user":
        return <Steering key={position} text={part.text.value} />;
      case "text":
        return <Markdown key={position} text={part.text} streaming={isGrowing} onOpenLink={app.openLink} />;
    }
  };
  // What comes before the first words is about the answer, not the answer.
  const found = parts.findIndex((part) => part.kind === "text");
  const first = found < 0 ? parts.length : found;
  return (
    <>
      {parts.slice(0, first).map(show)}
      <div class="response" data-testid={testId}>
        {parts.slice(first).map((part, index) => show(part, first + index))}
      </div>
    </>
  );
}

/** What the user said while the answer was being written. */
export function Steering({ text, isPending = false }: { text: string; isPending?: boolean }) {
  return (
    <div class="steering" data-pending={isPending}>
      <p class="bubble">
        <span class="visually-hidden">You said: </span>
        {text}
      </p>
      {isPending && <p class="muted">Will be read at the next step</p>}
    </div>
  );
}
