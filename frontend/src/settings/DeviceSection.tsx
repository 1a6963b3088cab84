import { useSignal } from "@preact/signals";
import { FolderOpen } from "lucide-preact";
import { useEffect } from "preact/hooks";
import type { DeviceStatus } from "../api.gen";
import type { App } from "../app/app";
import { DeviceDownload } from "../models/DeviceDownload";
import { formatBytes } from "../ui/format";
import { Problem } from "../ui/Problem";
import { useAction } from "../ui/useAction";
import { Row } from "./Row";

const PROCESS: Record<DeviceStatus["process"], string> = {
  stopped: "Not running; it starts with the first question",
  starting: "Starting…",
  running: "Running",
};

export function DeviceSection({ app }: { app: App }) {
  const { device } = app;
  useEffect(() => void device.load(), []);
  const status = device.status.value;
  const problem = device.problem.value;
  return (
    <>
      <p class="lead">
        A model that runs on this machine: no key, no network, nothing leaves it. The one that comes with
        Deskside is small: good for trying out and simple questions, not for real work.
      </p>
      {!status && problem && (
        <Problem message={problem.message} hint={problem.hint} requestId={problem.requestId}>
          <button type="button" class="button" onClick={() => void device.load()}>
            Try again
          </button>
        </Problem>
      )}
      {status && (
        <>
          <section class="card" aria-label="Models on this machine">
            {status.files.length > 0 && (
              <>
                <ul class="list">
                  {status.files.map((file) => (
                    <li key={file.path} class="list-row">
                      <div class="list-text">
                        <strong>{file.label}</strong>
                        <span class="muted">
                          {formatBytes(file.size_bytes)} ·{" "}
                          {file.is_bundled ? "small, comes with Deskside" : file.path}
                        </span>
                      </div>
                      {isChosen(app, file.path, file.is_bundled) ? (
                        <span class="tag">In use</span>
                      ) : (
                        <button
                          type="button"
                          class="button"
                          onClick={() => void device.useFile(file.is_bundled ? null : file.path)}
                        >
                          Use
                        </button>
                      )}
                    </li>
                  ))}
                </ul>
                <p class="muted">{PROCESS[status.process]}.</p>
              </>
            )}
            <DeviceDownload device={device} />
          </section>
          {status.can_run && <OwnFile app={app} />}
        </>
      )}
    </>
  );
}

function isChosen(app: App, path: string, isBundled: boolean): boolean {
  const chosen = app.settings.value?.device_model ?? null;
  return chosen === null ? isBundled : chosen === path;
}

/** Point at a GGUF file: with the system's dialog, or by its path where there is no window. */
function OwnFile({ app }: { app: App }) {
  const path = useSignal("");
  const { isBusy, problem, run } = useAction();
  const use = (chosen: string) => run(() => app.device.useFile(chosen));
  const choose = () =>
    run(async () => {
      const chosen = await app.api.desktop.choose_file({ title: "Choose a GGUF model", endings: ["gguf"] });
      if (chosen.path !== null) await app.device.useFile(chosen.path);
    });
  return (
    <section class="card" aria-label="Another model">
      <h2>Another model</h2>
      <p class="muted">For real work, point Deskside at a larger model in GGUF format.</p>
      <div class="actions">
        <button type="button" class="button" disabled={isBusy.value} onClick={() => void choose()}>
          <FolderOpen size={14} aria-hidden="true" />
          Choose a file…
        </button>
      </div>
      <Row label="Or type its path">
        {({ id }) => (
          <form
            class="field-row"
            onSubmit={(event) => {
              event.preventDefault();
              void use(path.value.trim());
            }}
          >
            <input
              id={id}
              class="field mono"
              spellcheck={false}
              autocomplete="off"
              placeholder="/path/to/model.gguf"
              value={path.value}
              onInput={(event) => {
                path.value = event.currentTarget.value;
              }}
            />
            <button type="submit" class="button" disabled={path.value.trim() === "" || isBusy.value}>
              Use
            </button>
          </form>
        )}
      </Row>
      {problem.value && (
        <Problem
          message={problem.value.message}
          hint={problem.value.hint}
          requestId={problem.value.requestId}
        />
      )}
    </section>
  );
}
