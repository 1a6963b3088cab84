import { Download, Pause, Play } from "lucide-preact";
import { useId } from "preact/hooks";
import { formatBytes } from "../ui/format";
import { Problem } from "../ui/Problem";
import type { Device } from "./device";

/** The small model's download: start, progress, pause, resume. */
export function DeviceDownload({ device }: { device: Device }) {
  const status = device.status.value;
  const id = useId();
  if (!status) return null;
  if (!status.can_run) return <Problem message={status.reason} />;
  const { state, received_bytes, total_bytes, message } = status.download;
  if (state === "done") return null;
  const isUnderWay = state === "running" || state === "checking";
  const received = `${formatBytes(received_bytes)} of ${formatBytes(total_bytes)}`;
  return (
    <div class="download">
      {(state !== "none" || received_bytes > 0) && (
        <div class="download-progress">
          <label for={id}>{STATES[state]}</label>
          <span class="muted">{received}</span>
          <progress id={id} max={total_bytes || 1} value={received_bytes} />
        </div>
      )}
      {state === "failed" && <Problem message={message} />}
      {isUnderWay ? (
        <button
          type="button"
          class="button"
          disabled={state === "checking"}
          onClick={() => void device.pause()}
        >
          <Pause size={14} aria-hidden="true" />
          Pause
        </button>
      ) : (
        <button type="button" class="button primary" onClick={() => void device.download()}>
          {state === "none" ? (
            <Download size={14} aria-hidden="true" />
          ) : (
            <Play size={14} aria-hidden="true" />
          )}
          {state === "none" ? `Download${total_bytes ? ` (${formatBytes(total_bytes)})` : ""}` : "Resume"}
        </button>
      )}
      {device.problem.value && (
        <Problem
          message={device.problem.value.message}
          hint={device.problem.value.hint}
          requestId={device.problem.value.requestId}
        />
      )}
    </div>
  );
}

const STATES = {
  none: "",
  running: "Downloading…",
  paused: "Paused",
  checking: "Checking the file…",
  failed: "The download stopped",
  done: "",
};
