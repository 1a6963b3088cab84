import { ShieldCheck, ShieldX } from "lucide-preact";
import type { ApprovalQuestion } from "../api.gen";
import { CodeBox } from "./CodeBox";
import { showInvisible } from "./invisible";
import { formatJson } from "./json";

/** What the user decided about a call. */
export function Decision({ question, agent }: { question: ApprovalQuestion; agent: string }) {
  const { decision, arguments_before } = question;
  const Icon = decision === "denied" ? ShieldX : ShieldCheck;
  return (
    <div class="decision">
      <p class="quiet-line">
        <Icon size={14} aria-hidden="true" />
        <span>{sentence(question, agent)}</span>
      </p>
      {arguments_before !== null && (
        <details class="quiet-details">
          <summary>You changed the arguments</summary>
          <h3>What the model had written</h3>
          <CodeBox label="What the model had written">
            {showInvisible(formatJson(arguments_before)) || "(none)"}
          </CodeBox>
        </details>
      )}
    </div>
  );
}

function sentence({ decision, scope, reason }: ApprovalQuestion, agent: string): string {
  if (decision === "denied") return reason ? `Denied: ${reason}` : "Denied by you";
  if (scope === "run") return "Allowed by you for this answer";
  return scope === "agent" ? `Always allowed by you for ${agent}` : "Allowed once by you";
}
