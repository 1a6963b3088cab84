import { ShieldAlert } from "lucide-preact";
import type { McpToolRow } from "../api.gen";
import { lineDiff } from "./diff";

interface Props {
  server: string;
  tools: McpToolRow[];
  isBusy: boolean;
  onAccept(tools: McpToolRow[]): void;
}

/** What a server says about its tools, before any model is told: all of it, and what changed. */
export function ToolReview({ server, tools, isBusy, onAccept }: Props) {
  const changed = tools.filter((tool) => tool.accepted);
  const isNew = changed.length === 0;
  return (
    <section class="mcp-review" aria-label={`Tools of ${server} to look at`}>
      <div class="mcp-review-heading">
        <ShieldAlert size={18} strokeWidth={1.75} aria-hidden="true" />
        <p>
          <strong>{heading(tools.length, changed.length)}</strong>{" "}
          <span class="muted">
            {isNew
              ? "Models read these descriptions and follow them. Nothing is used before you accept it."
              : "Read what is different: a description that changes after you accepted it can be an attack."}
          </span>
        </p>
      </div>
      <ul class="mcp-review-list">
        {tools.map((tool) => (
          <li key={tool.name}>
            <Review tool={tool} />
            {tools.length > 1 && (
              <button
                type="button"
                class="button"
                disabled={isBusy}
                aria-label={`Accept ${tool.remote_name}`}
                onClick={() => onAccept([tool])}
              >
                Accept
              </button>
            )}
          </li>
        ))}
      </ul>
      <button type="button" class="button primary" disabled={isBusy} onClick={() => onAccept(tools)}>
        {tools.length === 1 ? "Accept this tool" : `Accept all ${tools.length}`}
      </button>
    </section>
  );
}

function heading(all: number, changed: number): string {
  const tools = (count: number) => (count === 1 ? "1 tool" : `${count} tools`);
  if (changed === 0) return all === 1 ? "1 new tool." : `${all} new tools.`;
  const isAre = changed === 1 ? "was" : "were";
  const added = all > changed ? ` ${tools(all - changed)} came new.` : "";
  return `${tools(changed)} ${isAre} changed by the server.${added}`;
}

function Review({ tool }: { tool: McpToolRow }) {
  const { accepted, offered } = tool;
  if (!offered) return null;
  return (
    <details open={accepted !== null}>
      <summary>
        <code>{tool.remote_name}</code>
        <span class="muted">{accepted ? "changed" : firstLine(offered.description)}</span>
      </summary>
      {accepted ? (
        <>
          {accepted.title !== offered.title && (
            <Difference label="Title" before={accepted.title} after={offered.title} />
          )}
          {accepted.description !== offered.description && (
            <Difference label="Description" before={accepted.description} after={offered.description} />
          )}
          {accepted.details !== offered.details && (
            <Difference label="Parameters" before={accepted.details} after={offered.details} />
          )}
        </>
      ) : (
        <Definition description={offered.description} details={offered.details} />
      )}
    </details>
  );
}

/** A definition in full. */
export function Definition({ description, details }: { description: string; details: string }) {
  return (
    <>
      <p class="mcp-description">{description || "It has no description."}</p>
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: it scrolls, so the keyboard must reach it. */}
      <pre class="mcp-code" tabIndex={0}>
        {details}
      </pre>
    </>
  );
}

function Difference({ label, before, after }: { label: string; before: string; after: string }) {
  return (
    <figure class="mcp-difference">
      <figcaption class="muted">{label}</figcaption>
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: it scrolls, so the keyboard must reach it. */}
      <pre class="mcp-code" tabIndex={0}>
        {lineDiff(before, after).map((line, index) => (
          // Lines have no identity but their place.
          <Changed key={index} kind={line.kind} text={line.text} />
        ))}
      </pre>
    </figure>
  );
}

function Changed({ kind, text }: { kind: "same" | "added" | "removed"; text: string }) {
  if (kind === "added") return <ins>{`+ ${text}\n`}</ins>;
  if (kind === "removed") return <del>{`- ${text}\n`}</del>;
  return <span>{`  ${text}\n`}</span>;
}

export function firstLine(text: string): string {
  return text.trim().split("\n", 1)[0] ?? "";
}
