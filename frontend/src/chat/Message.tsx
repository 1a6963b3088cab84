import { useSignal } from "@preact/signals";
import { useRef } from "preact/hooks";
import type { App } from "../app/app";
import { MessageFiles } from "../attachments/MessageFiles";
import { DrawingContext } from "../ui/drawing";
import { useTurn } from "../ui/useTurn";
import type { Conversation } from "./conversation";
import { MessageActions } from "./MessageActions";
import { type MessageState, plainText } from "./message";
import { QuestionEditor } from "./QuestionEditor";
import { ReplyEnd } from "./ReplyEnd";
import { ReplyParts, Steering } from "./ReplyParts";
import { useMeter } from "./useMeter";
import { Waiting } from "./Waiting";

const LONG_CHARS = 4_000;
/** As in chat.css, where the height of a chunk that is not laid out follows from it. */
const CHUNK_LINES = 50;

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
      {text.trim() !== "" && <Words text={text} />}
    </>
  );
}

/** What was pasted may be long: the engine lays out what is in view of it, not all lines as one paragraph. */
function Words({ text }: { text: string }) {
  if (text.length <= LONG_CHARS) return <div class="bubble">{text}</div>;
  const lines = text.split("\n");
  const chunks = Array.from({ length: Math.ceil(lines.length / CHUNK_LINES) }, (_, at) =>
    lines.slice(at * CHUNK_LINES, (at + 1) * CHUNK_LINES).join("\n"),
  );
  return (
    <div class="bubble long">
      {chunks.map((chunk, at) => (
        // An empty block would have no height.
        <div key={at} class="bubble-lines">
          {chunk || "\n"}
        </div>
      ))}
    </div>
  );
}

function Files({ app, message }: Props) {
  return <MessageFiles app={app} rows={message.row.value.attachments} />;
}

function Reply({ app, conversation, message, onChooseModel }: Props) {
  const { status, steering } = message.row.value;
  const drew = useMeter(message.row.value, conversation.reportShown);
  return (
    <DrawingContext.Provider value={drew}>
      <ReplyParts app={app} conversation={conversation} message={message} testId="chat-response" />
      {status === "streaming" && <Waiting conversation={conversation} message={message} />}
      {steering.map((text, at) => (
        <Steering key={at} text={text} isPending />
      ))}
      <ReplyEnd app={app} conversation={conversation} message={message} onChooseModel={onChooseModel} />
    </DrawingContext.Provider>
  );
}
