import { X } from "lucide-preact";
import type { Replayed } from "../api.gen";
import { Diff } from "../chat/Diff";
import { formatCount } from "../ui/format";
import { IconButton } from "../ui/IconButton";

/** What came of running a run again. */
export function ReplayResult({ replayed, onClose }: { replayed: Replayed; onClose(): void }) {
  const { differences, requests, events } = replayed;
  const compared = `${counted(requests, "request")} and ${counted(events, "event")} compared.`;
  return (
    <section class="replay-result" data-identical={replayed.is_identical} aria-label="Replay" role="status">
      <header class="node-head">
        <h2>
          {replayed.is_identical
            ? "Replayed: nothing is different"
            : `Replayed: ${counted(differences.length, "difference")}`}
        </h2>
        <IconButton icon={X} label="Close" onClick={onClose} />
      </header>
      <p class="muted">
        Run again with your agents and tools as they are now; models and you answered as recorded. {compared}
      </p>
      {differences.map((each, at) => (
        <details key={at} open={at === 0}>
          <summary>{each.what}</summary>
          {each.diff && <Diff text={each.diff} />}
        </details>
      ))}
    </section>
  );
}

const counted = (count: number, what: string): string =>
  `${formatCount(count)} ${count === 1 ? what : `${what}s`}`;
