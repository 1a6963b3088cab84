import { useSignal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import type { LogLine, McpServerRow } from "../api.gen";
import type { App } from "../app/app";
import { BridgeError } from "../bridge";

const LOOK_EVERY_MS = 2_000;
const SOURCES: Record<LogLine["source"], string> = {
  program: "program",
  server: "server",
  deskside: "Deskside",
};

/** What a server wrote, followed for as long as it is open. Lines of a log are too many for events. */
export function McpLog({ app, server }: { app: App; server: McpServerRow }) {
  const lines = useSignal<LogLine[] | null>(null);
  const box = useRef<HTMLPreElement>(null);
  useEffect(() => {
    const look = async () => {
      try {
        lines.value = await app.api.mcp.logs({ id: server.id });
      } catch (error) {
        // The socket dropped, or the server was removed: the next look, or the list, says so.
        if (!(error instanceof BridgeError)) throw error;
      }
    };
    void look();
    const timer = setInterval(() => void look(), LOOK_EVERY_MS);
    return () => clearInterval(timer);
  }, [server.id]);
  useEffect(() => {
    if (box.current) box.current.scrollTop = box.current.scrollHeight;
  }, [lines.value?.length]);
  if (lines.value === null) return null;
  if (lines.value.length === 0) return <p class="muted">It has written nothing yet.</p>;
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: it scrolls, so the keyboard must reach it.
    <pre ref={box} class="mcp-code mcp-log" tabIndex={0}>
      {lines.value.map((line) => `${timeOf(line.at_ms)}  ${SOURCES[line.source]}  ${line.text}`).join("\n")}
    </pre>
  );
}

function timeOf(atMs: number): string {
  return new Date(atMs).toLocaleTimeString(undefined, { hourCycle: "h23" });
}
