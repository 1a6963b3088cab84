import { type ReadonlySignal, useSignal } from "@preact/signals";
import { ChevronRight, Wrench } from "lucide-preact";
import type { ToolCallPart } from "../api.gen";
import { formatDuration } from "../ui/format";

const STATUS: Record<ToolCallPart["status"], string> = {
  writing: "Preparing…",
  requested: "Waiting…",
  running: "Running…",
  finished: "Done",
  failed: "Failed",
};

/** One use of a tool: a line, and its arguments and result for who wants to see them. */
export function ToolCall({ call }: { call: ReadonlySignal<ToolCallPart> }) {
  const { name, status, duration_ms, output } = call.value;
  const isOpen = useSignal(false);
  const isEnded = status === "finished" || status === "failed";
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
        <span class="tool-name">{name}</span>
        <span class="tool-status">
          {STATUS[status]}
          {isEnded && ` · ${formatDuration(duration_ms)}`}
        </span>
      </summary>
      {isOpen.value && (
        <div class="disclosure-body">
          <h3>Arguments</h3>
          <pre>{readable(call.value.arguments)}</pre>
          {output !== null && (
            <>
              <h3>{status === "failed" ? "What went wrong" : "Result"}</h3>
              <pre>{output || "(nothing)"}</pre>
            </>
          )}
        </div>
      )}
    </details>
  );
}

/** Indented where it is JSON; the model may still be writing it, or have got it wrong. */
function readable(json: string): string {
  try {
    return JSON.stringify(JSON.parse(json), null, 2);
  } catch {
    return json || "(none)";
  }
}
