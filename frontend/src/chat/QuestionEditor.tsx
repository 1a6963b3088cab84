import { useSignal } from "@preact/signals";
import { useEffect, useLayoutEffect, useRef } from "preact/hooks";
import type { Conversation } from "./conversation";

interface Props {
  conversation: Conversation;
  messageId: number;
  text: string;
  onClose(): void;
}

/** A question in other words. The one that is there, and all that followed, stays as an earlier version. */
export function QuestionEditor({ conversation, messageId, text, onClose }: Props) {
  const typed = useSignal(text);
  const field = useRef<HTMLTextAreaElement>(null);
  const isBusy = conversation.isSending.value || conversation.running.value !== null;
  const isSendable = typed.value.trim() !== "" && !isBusy;

  useEffect(() => {
    field.current?.focus();
    field.current?.setSelectionRange(text.length, text.length);
  }, []);
  useLayoutEffect(() => {
    const element = field.current;
    if (!element) return;
    element.style.height = "auto";
    const borders = element.offsetHeight - element.clientHeight;
    element.style.height = `${element.scrollHeight + borders}px`;
  }, [typed.value]);

  const send = async () => {
    if (isSendable && (await conversation.askInstead(messageId, typed.value))) onClose();
  };
  const onKeyDown = (event: KeyboardEvent) => {
    if (event.isComposing || event.keyCode === 229) return;
    if (event.key === "Escape") {
      event.stopPropagation();
      onClose();
    } else if (event.key === "Enter" && !event.shiftKey) {
      event.preventDefault();
      void send();
    }
  };
  return (
    <form
      class="question-editor"
      data-testid="question-editor"
      onSubmit={(event) => {
        event.preventDefault();
        void send();
      }}
    >
      <textarea
        ref={field}
        class="field"
        aria-label="Your question"
        rows={1}
        value={typed.value}
        readOnly={conversation.isSending.value}
        onInput={(event) => {
          typed.value = event.currentTarget.value;
        }}
        onKeyDown={onKeyDown}
      />
      <div class="question-editor-row">
        <span class="muted">What followed stays as an earlier version.</span>
        <button type="button" class="button" onClick={onClose}>
          Cancel
        </button>
        <button type="submit" class="button primary" disabled={!isSendable}>
          Send
        </button>
      </div>
    </form>
  );
}
