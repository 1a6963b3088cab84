import { type ReadonlySignal, useSignal } from "@preact/signals";
import { ChevronRight, EyeOff, Wrench } from "lucide-preact";
import { useEffect, useRef } from "preact/hooks";
import { DEFAULT_LABEL } from "../agents/choices";
import type { ToolCallPart } from "../api.gen";
import type { App } from "../app/app";
import { useDrawn } from "../ui/drawing";
import { formatCount, formatDuration } from "../ui/format";
import { ApprovalCard } from "./ApprovalCard";
import { CodeBox } from "./CodeBox";
import type { Conversation } from "./conversation";
import { Decision } from "./Decision";
import { Delegation } from "./Delegation";
import { ElicitationCard } from "./ElicitationCard";
import { showInvisible } from "./invisible";
import { formatJson } from "./json";
import type { MessageState } from "./message";
import { UndoWrite } from "./UndoWrite";

interface Props {
  app: App;
  conversation: Conversation;
  message: MessageState;
  position: number;
  call: ReadonlySignal<ToolCallPart>;
}

const STATUS: Record<ToolCallPart["status"], string> = {
  writing: "Preparing…",
  requested: "Waiting…",
  waiting: "Needs you",
  running: "Running…",
  finished: "Done",
  failed: "Failed",
};

/** One use of a tool, or of another agent: what became of it, and what the user is asked about it. */
export function ToolCall({ app, conversation, message, position, call }: Props) {
  useDrawn();
  const { status, approval, elicitation, is_agent } = call.value;
  const place = useRef<HTMLDivElement>(null);
  const isAsking =
    (status === "waiting" && approval !== null) || (status === "running" && elicitation !== null);

  // The card that was answered takes the focus with it; the keyboard goes on where it was.
  const wasAsking = useRef(isAsking);
  useEffect(() => {
    if (wasAsking.current && !isAsking && document.activeElement === document.body) {
      place.current?.querySelector("summary")?.focus({ preventScroll: true });
    }
    wasAsking.current = isAsking;
  }, [isAsking]);

  return (
    <div ref={place} class="tool-use">
      {is_agent ? (
        <Delegation app={app} conversation={conversation} message={message} position={position} call={call} />
      ) : (
        <div class="tool-line">
          <CallLine call={call} />
          {status === "finished" && call.value.name === "write_file" && (
            <UndoWrite app={app} messageId={message.id} callId={call.value.call_id} />
          )}
        </div>
      )}
      <HiddenCharacters count={call.value.hidden_characters} />
      {status === "waiting" && approval && (
        <ApprovalCard
          key={`${call.value.call_id} ${approval.asked_ms}`}
          conversation={conversation}
          message={message}
          position={position}
          call={call.value}
          question={approval}
        />
      )}
      {status !== "waiting" && approval?.decision && (
        <Decision question={approval} agent={message.row.value.agent ?? DEFAULT_LABEL} />
      )}
      {status === "running" && elicitation && (
        <ElicitationCard
          app={app}
          conversation={conversation}
          messageId={message.id}
          position={position}
          elicitation={elicitation}
        />
      )}
    </div>
  );
}

/** A line, and the arguments and the result for who wants to see them. */
function CallLine({ call }: { call: ReadonlySignal<ToolCallPart> }) {
  const { name, status, elicitation } = call.value;
  const isAsking = status === "running" && elicitation !== null;
  const isOpen = useSignal(false);
  return (
    <details
      class="disclosure tool-call"
      data-testid="tool-call"
      data-status={status}
      onToggle={(event) => {
        isOpen.value = event.currentTarget.open;
      }}
    >
      <summary>
        <ChevronRight class="disclosure-mark" size={16} aria-hidden="true" />
        <Wrench size={14} aria-hidden="true" />
        <span class="tool-name">{showInvisible(name)}</span>
        <span class={`tool-status ${isAsking ? "asking" : ""}`}>{statusOf(call.value)}</span>
        <SourceNote call={call.value} />
      </summary>
      {isOpen.value && (
        <div class="disclosure-body">
          <CallDetails call={call.value} />
        </div>
      )}
    </details>
  );
}

export function CallDetails({ call }: { call: ToolCallPart }) {
  const { output, status, source } = call;
  return (
    <>
      <h3>Arguments</h3>
      <CodeBox label="Arguments">{showInvisible(formatJson(call.arguments)) || "(none)"}</CodeBox>
      {output !== null && (
        <>
          <h3>
            {status === "failed" ? "What went wrong" : "Result"}
            {source && ` from ${showInvisible(source)}`}
          </h3>
          <CodeBox label={status === "failed" ? "What went wrong" : "Result"}>
            {showInvisible(output) || "(nothing)"}
          </CodeBox>
        </>
      )}
    </>
  );
}

export function statusOf({ status, approval, elicitation, duration_ms }: ToolCallPart): string {
  if (status === "running" && elicitation) return STATUS.waiting;
  if (status === "failed" && approval?.decision === "denied") return "Denied";
  // What was stopped, or never ran, took no time that was measured.
  const isEnded = status === "finished" || (status === "failed" && duration_ms > 0);
  return isEnded ? `${STATUS[status]} · ${formatDuration(duration_ms)}` : STATUS[status];
}

function SourceNote({ call: { source, is_outside } }: { call: ToolCallPart }) {
  if (!source && !is_outside) return null;
  return <span class="tool-source">{source ? `from ${showInvisible(source)}` : "from outside"}</span>;
}

function HiddenCharacters({ count }: { count: number }) {
  if (count === 0) return null;
  return (
    <p class="quiet-line">
      <EyeOff size={14} aria-hidden="true" />
      <span>
        {count === 1 ? "1 invisible character was" : `${formatCount(count)} invisible characters were`}{" "}
        removed before the model read this.
      </span>
    </p>
  );
}
