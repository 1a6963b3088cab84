import { CircleX } from "lucide-preact";
import { useId } from "preact/hooks";
import type { App } from "../app/app";
import { describeJob } from "./backups";

/** What is under way, with its way out. Nothing is shown while nothing is. */
export function JobProgress({ app }: { app: App }) {
  const job = app.backups.job.value;
  const id = useId();
  if (!job) return null;
  return (
    <div class="download" data-testid="data-job">
      <div class="download-progress">
        <label for={id}>{describeJob(job)}</label>
        <progress id={id} max={1} value={job.part > 0 ? job.part : undefined} />
      </div>
      <button
        type="button"
        class="button"
        onClick={() => void app.toasts.attempt(() => app.api.backups.stop())}
      >
        <CircleX size={14} aria-hidden="true" />
        Stop
      </button>
    </div>
  );
}
