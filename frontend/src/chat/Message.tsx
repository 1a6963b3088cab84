import { useSignal } from "@preact/signals";
import { useRef } from "preact/hooks";
import type { App } from "../app/app";
import { MessageFiles } from "../attachments/MessageFiles";
import { useTurn } from "../ui/useTurn";
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
  /** What is in it need not be there at once. */
  mayWait?: boolean;
  onChooseModel(): void;
}

export function Message(props: Props) {
  const { role, status } = props.message.row.value;
  const element = useRef<HTMLElement>(null);
  const isShown = useTurn(element, props.mayWait ?? false);
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
      ref={element}
      id={`message-${props.message.id}`}
      class={`message ${role}`}
      data-found={props.conversation.found.value?.id === props.message.id || undefined}
      data-testid="message"
      data-role={role}
      data-status={status}
      data-waiting={!isShown || undefined}
      aria-label={role === "user" ? "You" : "Deskside"}
      aria-busy={status === "streaming"}
    >
      {isShown && isEditing.value && (
        <QuestionEditor
          conversation={props.conversation}
          messageId={props.message.id}
          text={plainText(props.message)}
          files={<Files {...props} />}
          onClose={closeEditor}
        />
      )}
      {isShown && !isEditing.value && (
        <>
          {role === "user" ? <Question {...props} /> : <Reply {...props} />}
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

function Question(props: Props) {
  const text = plainText(props.message);
  return (
    <>
      <Files {...props} />
      {text.trim() !== "" && <div class="bubble">{text}</div>}
    </>
  );
}

function Files({ app, message }: Props) {
  return <MessageFiles app={app} rows={message.row.value.attachments} />;
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
