import { type Signal, useSignalEffect } from "@preact/signals";
import { ArrowUp, CornerDownRight, Paperclip, Square } from "lucide-preact";
import { useEffect, useLayoutEffect, useRef } from "preact/hooks";
import { AgentPicker } from "../agents/AgentPicker";
import type { App } from "../app/app";
import { DraftFiles } from "../attachments/DraftFiles";
import { isSending as isBeingAdded } from "../attachments/files";
import { pastedFiles } from "../attachments/incoming";
import { ModelPicker } from "../models/ModelPicker";
import { IconButton } from "../ui/IconButton";
import type { Conversation } from "./conversation";

interface Props {
  app: App;
  conversation: Conversation;
  isPickerOpen: Signal<boolean>;
}

export function Composer({ app, conversation, isPickerOpen }: Props) {
  const { drafts } = app;
  const row = conversation.row.value;
  const id = row?.id ?? null;
  const text = drafts.open(id, row?.draft ?? "").value;
  const field = useRef<HTMLTextAreaElement>(null);
  const isRunning = conversation.running.value !== null;
  const isSending = conversation.isSending.value;
  const files = app.files.of(id).value;
  const hasWords = text.trim() !== "";
  const chooser = useRef<HTMLInputElement>(null);

  useLayoutEffect(() => {
    const element = field.current;
    if (!element) return;
    element.style.height = "auto";
    element.style.height = `${element.scrollHeight}px`;
  }, [text]);

  // A chat that was just opened wants to be written in.
  useEffect(() => field.current?.focus(), [conversation]);

  // Buttons come and go with the answer (Stop, Retry, Continue …); the focus must not go with them.
  useSignalEffect(() => {
    void conversation.running.value;
    void conversation.problem.value;
    const frame = requestAnimationFrame(() => {
      const { activeElement } = document;
      if (activeElement === document.body || activeElement?.matches(":disabled")) field.current?.focus();
    });
    return () => cancelAnimationFrame(frame);
  });

  // While an answer is written, what is typed goes to it.
  const send = () => {
    void app.send();
    field.current?.focus();
  };
  const onKeyDown = (event: KeyboardEvent) => {
    // Enter that ends a composition (Japanese, Chinese …) chooses a word; 229 is how older WebKit says so.
    if (event.key !== "Enter" || event.shiftKey || event.isComposing || event.keyCode === 229) return;
    event.preventDefault();
    send();
  };

  const onPaste = (event: ClipboardEvent) => {
    const pasted = event.clipboardData ? pastedFiles(event.clipboardData) : [];
    if (pasted.length === 0) return;
    event.preventDefault();
    app.attach(pasted);
  };

  return (
    <form
      class="composer"
      onSubmit={(event) => {
        event.preventDefault();
        send();
      }}
    >
      <DraftFiles app={app} id={id} isRunning={isRunning} />
      <textarea
        ref={field}
        class="composer-text"
        data-testid="chat-input"
        aria-label="Message"
        placeholder={isRunning ? "Add to this answer" : "Ask anything"}
        rows={1}
        value={text}
        readOnly={isSending}
        onInput={(event) => drafts.change(id, event.currentTarget.value)}
        onKeyDown={onKeyDown}
        onPaste={onPaste}
        onBlur={() => void drafts.save()}
      />
      <div class="composer-row">
        <div class="composer-choices">
          <input
            ref={chooser}
            type="file"
            multiple
            hidden
            data-testid="file-chooser"
            aria-label="Files to attach"
            onChange={(event) => {
              app.attach([...(event.currentTarget.files ?? [])]);
              // The same file may be chosen again.
              event.currentTarget.value = "";
              field.current?.focus();
            }}
          />
          <IconButton
            icon={Paperclip}
            label="Attach files"
            data-testid="attach-button"
            disabled={isSending}
            onClick={() => chooser.current?.click()}
          />
          <AgentPicker app={app} />
          <ModelPicker
            app={app}
            model={app.model.value}
            isOpen={isPickerOpen}
            onChoose={(model) => void app.chooseModel(model)}
          />
        </div>
        {isRunning && hasWords && files.length === 0 && (
          <button
            type="submit"
            class="button composer-steer"
            data-testid="chat-steer"
            title="The model reads it at its next step (Enter)"
            disabled={isSending}
          >
            <CornerDownRight size={16} aria-hidden="true" />
            Add to this answer
          </button>
        )}
        {isRunning ? (
          <button
            key="stop"
            type="button"
            class="round-button"
            data-testid="chat-stop"
            aria-label="Stop"
            title="Stop (Esc)"
            disabled={conversation.isStopping.value}
            onClick={() => void conversation.stop()}
          >
            <Square size={14} fill="currentColor" aria-hidden="true" />
          </button>
        ) : (
          <button
            key="send"
            type="submit"
            class="round-button primary"
            data-testid="chat-send"
            aria-label="Send"
            title="Send (Enter)"
            disabled={(!hasWords && files.length === 0) || files.some(isBeingAdded) || isSending}
          >
            <ArrowUp size={18} strokeWidth={2.25} aria-hidden="true" />
          </button>
        )}
      </div>
    </form>
  );
}
