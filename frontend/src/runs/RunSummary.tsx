import { RefreshCw } from "lucide-preact";
import type { RunStory, Share } from "../api.gen";
import { formatDuration, formatMoment } from "../ui/format";
import { IconButton } from "../ui/IconButton";

/** Why it took as long as it did: a sentence, and the shares of the time. */
export function RunSummary({ told, onRefresh }: { told: RunStory; onRefresh(): void }) {
  const { story, why_slow, is_recorded } = told;
  return (
    <section class="run-summary" aria-label="Where the time went">
      <div class="run-summary-head">
        <p class="run-why">
          {is_recorded
            ? why_slow.summary
            : "How this run went was not recorded, or the recording was old and was cleared away."}
        </p>
        <IconButton icon={RefreshCw} label="Refresh" onClick={onRefresh} />
      </div>
      {is_recorded && why_slow.shares.length > 0 && (
        <>
          <div class="run-shares" aria-hidden="true">
            {why_slow.shares.map((share) => (
              <span key={share.cause} data-cause={share.cause} style={{ flexGrow: share.ms }} />
            ))}
          </div>
          <ul class="run-legend">
            {why_slow.shares.map((share) => (
              <li key={share.cause}>
                <span class="run-swatch" data-cause={share.cause} aria-hidden="true" />
                {wordsOf(share)} <span class="muted">{formatDuration(share.ms)}</span>
              </li>
            ))}
          </ul>
        </>
      )}
      <p class="muted run-facts">
        {formatMoment(story.start_ms)} · {story.model} · Deskside {story.program} · request{" "}
        <code>{story.request_id}</code>
      </p>
    </section>
  );
}

const wordsOf = ({ words }: Share): string => words.charAt(0).toUpperCase() + words.slice(1);
