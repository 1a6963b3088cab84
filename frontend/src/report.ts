/**
 * Faults of the page go to Python's error log, next to its own.
 *
 * The reporter never throws and never floods: the same fault is dropped for 10 s, at most 20 are sent
 * a minute, and what could not be sent is kept for the next call that works.
 */
import type { ReportWindowErrorInput } from "./api.gen";

export type Report = (fault: { where: string; message: string; stack?: string; component?: string }) => void;

const REPEAT_MS = 10_000;
const MINUTE_MS = 60_000;
const A_MINUTE = 20;
const KEPT = 20;

// The file's name carries the hash of its content.
const BUILD = new URL(import.meta.url).pathname.slice(-100);

export function createReport(
  send: (fault: ReportWindowErrorInput) => Promise<void>,
  now: () => number = Date.now,
): Report {
  const lastSeen = new Map<string, number>();
  let sentAt: number[] = [];
  let unsent: ReportWindowErrorInput[] = [];

  async function deliver(): Promise<void> {
    const faults = unsent;
    unsent = [];
    for (const [index, fault] of faults.entries()) {
      try {
        await send(fault);
      } catch {
        // Reporting that reporting failed would go round for ever.
        unsent = [...faults.slice(index), ...unsent].slice(-KEPT);
        return;
      }
    }
  }

  return ({ where, message, stack = "", component = "" }) => {
    const time = now();
    const key = `${where}\n${message}`;
    const isRepeat = time - (lastSeen.get(key) ?? -REPEAT_MS) < REPEAT_MS;
    sentAt = sentAt.filter((at) => time - at < MINUTE_MS);
    if (isRepeat || sentAt.length >= A_MINUTE) return;
    for (const [seen, at] of lastSeen) if (time - at >= REPEAT_MS) lastSeen.delete(seen);
    lastSeen.set(key, time);
    sentAt.push(time);
    unsent.push({
      where: where.slice(0, 500),
      message: message.slice(0, 500),
      stack: stack.slice(0, 8000),
      component: component.slice(0, 500),
      build: BUILD,
    });
    void deliver();
  };
}

/** What no error boundary sees: handlers, timers, promises, and the content policy. */
export function reportUncaught(target: Window, report: Report): void {
  target.addEventListener("error", (event) => {
    const where = `window ${event.filename}:${event.lineno}`;
    report({ where, message: event.message || "A file could not be loaded.", stack: stackOf(event.error) });
  });
  target.addEventListener("unhandledrejection", (event) => {
    const reason: unknown = event.reason;
    const message = reason instanceof Error ? reason.message : String(reason);
    report({ where: "promise", message, stack: stackOf(reason) });
  });
  target.document.addEventListener("securitypolicyviolation", (event) => {
    const message = `${event.effectiveDirective} blocked ${event.blockedURI || "inline"}`;
    report({ where: `policy ${event.sourceFile}:${event.lineNumber}`, message });
  });
}

function stackOf(error: unknown): string {
  return error instanceof Error ? (error.stack ?? "") : "";
}
