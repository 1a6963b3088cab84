import { useSignal } from "@preact/signals";
import { Send } from "lucide-preact";
import type { App } from "../app/app";
import { AddressField } from "../settings/AddressField";
import { Row } from "../settings/Row";
import { Problem } from "../ui/Problem";
import { useAction } from "../ui/useAction";
import { hostOf } from "./faults";

/** Where errors are reported to, if anywhere. */
export function ReportsCard({ app }: { app: App }) {
  const { isBusy, problem, run } = useAction();
  const sentId = useSignal<string | null>(null);
  const dsn = app.settings.value?.sentry_dsn ?? "";
  const forget = () => {
    sentId.value = null;
    problem.value = null;
  };
  const save = (address: string | null) => {
    forget();
    return app.changeSettings({ sentry_dsn: address ?? "" });
  };
  const test = () => {
    forget();
    return run(async () => {
      sentId.value = (await app.api.diagnostics.send_test_report()).event_id;
    });
  };
  return (
    <section class="card" aria-labelledby="error-reports">
      <h2 id="error-reports">Error reports</h2>
      <p class="muted">
        With the address of a Sentry project, each new kind of error is sent there: what failed and where in
        the program, the last command, versions and your system. Never sent: keys, questions, answers, your
        name or that of your computer. Leave it empty, and nothing is.
      </p>
      <Row label="Address of the project (DSN)">
        {({ id }) => (
          <AddressField
            id={id}
            value={dsn || null}
            placeholder="https://key@sentry.example.com/1"
            onSave={save}
          />
        )}
      </Row>
      {dsn && (
        <div class="actions">
          <button type="button" class="button" disabled={isBusy.value} onClick={() => void test()}>
            <Send size={14} aria-hidden="true" />
            {isBusy.value ? "Sending…" : "Send a test report"}
          </button>
          <span class="muted" role="status">
            {sentId.value && `${hostOf(dsn)} has taken it, as ${sentId.value.slice(0, 8)}.`}
          </span>
        </div>
      )}
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
