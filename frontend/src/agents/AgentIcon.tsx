import { Bot } from "lucide-preact";

/** An emoji, or the mark that all agents without one have. */
export function AgentIcon({ icon, size = 16 }: { icon: string; size?: number }) {
  if (!icon) return <Bot class="agent-mark" size={size} strokeWidth={1.75} aria-hidden="true" />;
  return (
    <span class={`agent-icon ${size > 16 ? "large" : ""}`} aria-hidden="true">
      {icon}
    </span>
  );
}
