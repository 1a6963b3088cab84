import { Bot } from "lucide-preact";

const GRAPHEMES = new Intl.Segmenter();

/** An emoji, or the mark that all agents without one have. Of what is longer the first character is shown. */
export function AgentIcon({ icon, size = 16 }: { icon: string; size?: number }) {
  if (!icon) return <Bot class="agent-mark" size={size} strokeWidth={1.75} aria-hidden="true" />;
  return (
    <span class={`agent-icon ${size > 16 ? "large" : ""}`} aria-hidden="true">
      {[...GRAPHEMES.segment(icon)][0]?.segment}
    </span>
  );
}
