import { useEffect } from "preact/hooks";
import type { App } from "../app/app";
import { DeviceDownload } from "../models/DeviceDownload";
import { Problem } from "../ui/Problem";

export function StartOnDevice({ app }: { app: App }) {
  const { device } = app;
  useEffect(() => void device.load(), []);
  const status = device.status.value;
  const problem = device.problem.value;
  if (!status) {
    if (!problem) return <p class="muted">Looking…</p>;
    return <Problem message={problem.message} hint={problem.hint} requestId={problem.requestId} />;
  }
  const file = status.files.find((file) => file.is_bundled) ?? status.files[0];
  return (
    <div class="stack">
      <DeviceDownload device={device} />
      {file && status.can_run && (
        <div class="actions">
          <button
            type="button"
            class="button primary"
            onClick={() => void app.finishStart({ default_model: `device/${file.name}` })}
          >
            Start chatting
          </button>
          <span class="muted">{file.label} is ready.</span>
        </div>
      )}
    </div>
  );
}
