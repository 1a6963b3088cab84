import { useSignal } from "@preact/signals";
import {
  ChartGantt,
  Check,
  ChevronLeft,
  ChevronRight,
  Copy,
  GitFork,
  Pencil,
  RotateCcw,
} from "lucide-preact";
import { DEFAULT_LABEL } from "../agents/choices";
import type { App } from "../app/app";
import { copyMarkdown, offerMarkdown } from "../markdown/clipboard";
import { copyText } from "../markdown/copy";
import { formatMoment, formatTokens } from "../ui/format";
import { IconButton } from "../ui/IconButton";
import { formatSum, originOf } from "../usage/costs";
import type { Conversation } from "./conversation";
import { type MessageState, plainText } from "./message";

interface Props {
  app: App;
  conversation: Conversation;
  message: MessageState;
  isLast: boolean;
  onEdit(): void;
}

const COPIED_MS = 1_500;

/** The quiet line under a message: versions, what can be done with it, and what wrote it. */
export function MessageActions({ app, conversation, message, isLast, onEdit }: Props) {
  const { role, status, agent, model, usage, created_ms, run_id, conversation_id } = message.row.value;
  if (status === "streaming") return null;
  const cost = app.costs.known.value?.byMessage.get(message.id);
  return (
    <div class="message-actions" data-always={isLast}>
      <Versions conversation={conversation} message={message} />
      <CopyButton
        message={message}
        onProblem={(message) => app.toasts.show({ level: "error", message, hint: "" })}
      />
      {role === "user" && (
        <IconButton
          icon={Pencil}
          class="message-edit"
          label="Edit"
          disabled={conversation.running.value !== null}
          onClick={onEdit}
        />
      )}
      {role === "assistant" && status === "complete" && (
        <IconButton
          icon={RotateCcw}
          label="Answer again"
          disabled={conversation.running.value !== null}
          onClick={() => void conversation.retry(message.id)}
        />
      )}
      <IconButton
        icon={GitFork}
        label="Fork: go on from here in a new conversation"
        onClick={() => void app.fork(message.id)}
      />
      {role === "assistant" && run_id !== null && (
        <IconButton
          icon={ChartGantt}
          class="message-inspect"
          label="Inspect run: what happened, and how long it took"
          onClick={() => app.inspectRun(run_id, conversation_id)}
        />
      )}
      <span class="message-facts">
        {agent && agent !== DEFAULT_LABEL && <span>{agent}</span>}
        {model && <span title={model}>{app.models.labelOf(model)}</span>}
        {usage !== null && usage.output_tokens > 0 && <span>{formatTokens(usage.output_tokens)}</span>}
        {cost && <span title={originOf(cost)}>{formatSum(cost)}</span>}
        <time dateTime={new Date(created_ms).toISOString()}>{formatMoment(created_ms)}</time>
      </span>
    </div>
  );
}

function Versions({ conversation, message }: Pick<Props, "conversation" | "message">) {
  const { versions } = message.row.value;
  if (versions.length < 2) return null;
  const at = versions.indexOf(message.id);
  const isBusy = conversation.running.value !== null;
  const step = async (to: number) => {
    const id = versions[to];
    if (id === undefined) return;
    await conversation.showVersion(id);
    // The button that was pressed went with its message.
    requestAnimationFrame(() => {
      const buttons = document.getElementById(`message-${id}`)?.querySelectorAll(".versions button");
      const enabled = [...(buttons ?? [])].filter((button) => !button.matches(":disabled"));
      (enabled.at(to < at ? 0 : -1) as HTMLElement | undefined)?.focus();
    });
  };
  return (
    <fieldset class="versions" aria-label="Versions">
      <IconButton
        icon={ChevronLeft}
        label="Previous version"
        disabled={at === 0 || isBusy}
        onClick={() => void step(at - 1)}
      />
      <span>
        <span class="visually-hidden">Version </span>
        {at + 1}/{versions.length}
      </span>
      <IconButton
        icon={ChevronRight}
        label="Next version"
        disabled={at === versions.length - 1 || isBusy}
        onClick={() => void step(at + 1)}
      />
    </fieldset>
  );
}

function CopyButton({ message, onProblem }: { message: MessageState; onProblem(text: string): void }) {
  const isCopied = useSignal(false);
  const copy = async () => {
    const text = plainText(message);
    // What a user wrote is no markdown to anybody but us.
    const isRich = message.row.value.role === "assistant" && copyMarkdown(text);
    if (!isRich && !(await copyText(text))) {
      // Selecting by hand always works.
      onProblem("The clipboard could not be used. Select the text and copy it instead.");
      return;
    }
    isCopied.value = true;
    setTimeout(() => {
      isCopied.value = false;
    }, COPIED_MS);
  };
  const drag = ({ dataTransfer }: DragEvent) => {
    if (dataTransfer === null) return;
    const text = plainText(message);
    if (message.row.value.role === "assistant") offerMarkdown(dataTransfer, text);
    else dataTransfer.setData("text/plain", text);
    dataTransfer.effectAllowed = "copy";
  };
  return (
    <IconButton
      icon={isCopied.value ? Check : Copy}
      label={isCopied.value ? "Copied" : "Copy"}
      title={isCopied.value ? "Copied" : "Copy, or drag it into another program"}
      draggable
      onClick={copy}
      onDragStart={drag}
    />
  );
}
