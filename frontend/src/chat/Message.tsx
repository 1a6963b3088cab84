import { useSignal } from "@preact/signals";
import type { App } from "../app/app";
import type { Conversation } from "./conversation";
import { MessageActions } from "./MessageActions";
import { type MessageState, plainText } from "./message";
import { QuestionEditor } from "./QuestionEditor";
import { ReplyEnd } from "./ReplyEnd";
import { ReplyParts, Steering } from "./ReplyParts";
import { Waiting } from "./Waiting";

interface Props {
  app: App;
  conversation: Conversation;
  message: MessageState;
  isLast: boolean;
  onChooseModel(): void;
}

export function Message(props: Props) {
  const { role, status } = props.message.row.value;
  const isEditing = useSignal(false);
  const closeEditor = () => {
    isEditing.value = false;
    // The button that opened it is there again only after the next frame.
    requestAnimationFrame(() =>
      document
        .getElementById(`message-${props.message.id}`)
        ?.querySelector<HTMLElement>(".message-edit")
        ?.focus(),
    );
  };
  return (
    <article
      id={`message-${props.message.id}`}
      class={`message ${role}`}
      data-found={props.conversation.found.value?.id === props.message.id || undefined}
      data-testid="message"
      data-role={role}
      data-status={status}
      aria-label={role === "user" ? "You" : "Deskside"}
      aria-busy={status === "streaming"}
    >
      {isEditing.value ? (
        <QuestionEditor
          conversation={props.conversation}
          messageId={props.message.id}
          text={plainText(props.message)}
          onClose={closeEditor}
        />
      ) : (
        <>
          {role === "user" ? <div class="bubble">{plainText(props.message)}</div> : <Reply {...props} />}
          <MessageActions
            {...props}
            onEdit={() => {
              isEditing.value = true;
            }}
          />
        </>
      )}
    </article>
  );
}

function Reply({ app, conversation, message, onChooseModel }: Props) {
  const { status, steering } = message.row.value;
  return (
    <>
      <ReplyParts app={app} conversation={conversation} message={message} testId="chat-response" />
      {status === "streaming" && <Waiting conversation={conversation} message={message} />}
      {steering.map((text, at) => (
        <Steering key={at} text={text} isPending />
      ))}
      <ReplyEnd app={app} conversation={conversation} message={message} onChooseModel={onChooseModel} />
    </>
  );
}
