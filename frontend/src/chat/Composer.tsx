import { type Signal, useSignalEffect } from "@preact/signals";
import { ArrowUp, CornerDownRight, Square } from "lucide-preact";
import { useEffect, useLayoutEffect, useRef } from "preact/hooks";
import { AgentPicker } from "../agents/AgentPicker";
import type { App } from "../app/app";
import { ModelPicker } from "../models/ModelPicker";
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

  return (
    <form
      class="composer"
      onSubmit={(event) => {
        event.preventDefault();
        send();
      }}
    >
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
        onBlur={() => void drafts.save()}
      />
      <div class="composer-row">
        <div class="composer-choices">
          <AgentPicker app={app} />
          <ModelPicker
            app={app}
            model={app.model.value}
            isOpen={isPickerOpen}
            onChoose={(model) => void app.chooseModel(model)}
          />
        </div>
        {isRunning && text.trim() !== "" && (
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
            disabled={text.trim() === "" || isSending}
          >
            <ArrowUp size={18} strokeWidth={2.25} aria-hidden="true" />
          </button>
        )}
      </div>
    </form>
  );
}
