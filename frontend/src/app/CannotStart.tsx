import type { BridgeError } from "../bridge";
import { RequestId } from "../ui/RequestId";

/** The whole page when not even the first question to Python is answered. */
export function CannotStart({ problem, onRetry }: { problem: BridgeError; onRetry(): void }) {
  return (
    <main class="full-page">
      <h1>Deskside cannot start</h1>
      <p role="alert">{problem.message}</p>
      <p class="muted">
        {problem.code === "disconnected"
          ? "The window has lost its connection to the program behind it. Try again; if that does not help, close Deskside and open it again. Your conversations are safe on the disk."
          : problem.hint}
      </p>
      {problem.requestId && <RequestId id={problem.requestId} />}
      <button type="button" class="button primary" onClick={onRetry}>
        Try again
      </button>
    </main>
  );
}
