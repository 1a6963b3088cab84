import { type Signal, useSignal } from "@preact/signals";
import { Bot, ChevronDown, ListChecks, ShieldAlert, ShieldQuestionMark } from "lucide-preact";
import type { RefObject } from "preact";
import { useEffect, useId, useRef } from "preact/hooks";
import { DEFAULT_LABEL } from "../agents/choices";
import type { ApprovalQuestion, ToolCallPart } from "../api.gen";
import { Menu, type MenuItem } from "../ui/Menu";
import { Problem } from "../ui/Problem";
import { useAction } from "../ui/useAction";
import { useArmed } from "./armed";
import { CodeBox } from "./CodeBox";
import type { Conversation } from "./conversation";
import { Diff } from "./Diff";
import { keepEscape } from "./escape";
import { GuardedButton } from "./GuardedButton";
import { escapeInvisible, showInvisible } from "./invisible";
import { formatJson, problemOfArguments, textsOfLines } from "./json";
import type { MessageState } from "./message";

interface Props {
  conversation: Conversation;
  message: MessageState;
  position: number;
  call: ToolCallPart;
  question: ApprovalQuestion;
}

const EFFECT: Record<ApprovalQuestion["effect"], string> = {
  read: "Reads",
  write: "Changes something",
  send: "Sends something out",
  execute: "Runs code",
};

/**
 * Asks whether a tool may be called, and shows all that would happen. It takes no focus, cannot be pressed in
 * its first moments, and no key answers it but a press of one of its buttons.
 */
export function ApprovalCard({ conversation, message, position, call, question }: Props) {
  const titleId = useId();
  const buttons = useRef<HTMLDivElement>(null);
  const isArmed = useArmed(buttons);
  const { isBusy, problem, run } = useAction();
  const isSent = useSignal(false);
  /** The arguments under the user's hands; null while they are the model's. */
  const edited = useSignal<string | null>(null);
  const reason = useSignal<string | null>(null);

  const agent = message.row.value.agent ?? DEFAULT_LABEL;
  const written = escapeInvisible(formatJson(call.arguments));
  const isChanged = edited.value !== null && edited.value !== written;
  const fault = edited.value === null ? "" : problemOfArguments(edited.value);
  const isOff = !isArmed.value || isBusy.value || isSent.value;

  const answer = async (decision: Parameters<Conversation["decide"]>[2]) => {
    isSent.value = await run(() => conversation.decide(message.id, position, decision));
  };
  const allow = (scope: ApprovalQuestion["scope"]) =>
    void answer({ decision: "approved", scope, arguments: isChanged ? edited.value : null });
  const deny = () => void answer({ decision: "denied", reason: reason.value?.trim() ?? "" });

  return (
    // biome-ignore lint/a11y/useSemanticElements: a fieldset's legend cannot be laid out like a heading.
    <section class="ask" role="group" aria-labelledby={titleId} data-testid="approval">
      <h2 id={titleId} class="ask-title">
        <ShieldQuestionMark size={18} strokeWidth={1.75} aria-hidden="true" />
        <span>
          {showInvisible(agent)} asks to use <code>{showInvisible(call.name)}</code>
        </span>
        <span class="tag">{EFFECT[question.effect]}</span>
      </h2>
      {question.summary && <p class="ask-summary">{showInvisible(question.summary)}</p>}
      <Reasons reasons={question.reasons} />
      {question.diff && <Diff text={question.diff} />}
      {edited.value === null ? (
        <Arguments call={call} hasDiff={question.diff !== ""} />
      ) : (
        <ArgumentsEditor
          edited={edited}
          fault={fault}
          hasPreview={question.summary !== "" || question.diff !== ""}
        />
      )}
      {question.outside.length > 0 && <Outside sources={question.outside} />}
      {reason.value !== null && <Reason reason={reason} />}
      {problem.value && (
        <Problem
          message={problem.value.message}
          hint={problem.value.hint}
          requestId={problem.value.requestId}
        />
      )}
      <div ref={buttons} class="ask-buttons">
        <div class="split">
          <GuardedButton
            class={question.outside.length === 0 ? "primary" : ""}
            data-testid="tool-approve"
            isOff={isOff || fault !== ""}
            onPress={() => allow("once")}
          >
            {isChanged ? "Allow once, as changed" : "Allow once"}
          </GuardedButton>
          <MoreScopes question={question} agent={agent} isOff={isOff || fault !== ""} onAllow={allow} />
        </div>
        <GuardedButton class="danger" data-testid="tool-deny" isOff={isOff} onPress={deny}>
          {reason.value?.trim() ? "Deny with this reason" : "Deny"}
        </GuardedButton>
        <span class="ask-more">
          <button
            type="button"
            class="button quiet"
            aria-expanded={reason.value !== null}
            onClick={() => {
              reason.value = reason.value === null ? "" : null;
            }}
          >
            {reason.value === null ? "Add a reason" : "No reason"}
          </button>
          <button
            type="button"
            class="button quiet"
            aria-expanded={edited.value !== null}
            onClick={() => {
              edited.value = edited.value === null ? written : null;
            }}
          >
            {edited.value === null ? "Edit arguments" : "Undo my changes"}
          </button>
        </span>
      </div>
    </section>
  );
}

function Reasons({ reasons }: { reasons: string[] }) {
  if (reasons.length === 0) return null;
  return (
    <ul class="ask-reasons">
      {reasons.map((reason) => (
        <li key={reason}>{showInvisible(reason)}</li>
      ))}
    </ul>
  );
}

/** Stands by the buttons: in a small window the top of the card is out of sight. */
function Outside({ sources }: { sources: string[] }) {
  return (
    <div class="ask-outside">
      <ShieldAlert size={18} strokeWidth={1.75} aria-hidden="true" />
      <div>
        <p>This answer has read text from outside. It may hold orders that are not yours, so look closely.</p>
        <ul aria-label="Where the text came from">
          {sources.map((source) => (
            <li key={source}>{showInvisible(source)}</li>
          ))}
        </ul>
      </div>
    </div>
  );
}

function Arguments({ call, hasDiff }: { call: ToolCallPart; hasDiff: boolean }) {
  return (
    <>
      {/* The diff shows the text of a file that is written. */}
      {!hasDiff &&
        textsOfLines(call.arguments).map(({ name, text }) => (
          <div key={name} class="ask-part">
            <h3>
              <code>{showInvisible(name)}</code>, as it reads
            </h3>
            <CodeBox label={`${name}, as it reads`}>{showInvisible(text)}</CodeBox>
          </div>
        ))}
      <div class="ask-part">
        <h3>Arguments</h3>
        <CodeBox label="Arguments">{showInvisible(formatJson(call.arguments)) || "(none)"}</CodeBox>
      </div>
    </>
  );
}

interface EditorProps {
  edited: Signal<string | null>;
  fault: string;
  hasPreview: boolean;
}

function ArgumentsEditor({ edited, fault, hasPreview }: EditorProps) {
  const id = useId();
  const field = useFocusAtFirst<HTMLTextAreaElement>();
  return (
    <div class="ask-part">
      <label for={id}>Arguments</label>
      <textarea
        ref={field}
        id={id}
        class="field ask-editor"
        spellcheck={false}
        rows={Math.min(16, (edited.peek() ?? "").split("\n").length + 1)}
        value={edited.value ?? ""}
        aria-invalid={fault !== ""}
        aria-describedby={`${id}-fault`}
        onInput={(event) => {
          edited.value = event.currentTarget.value;
        }}
        onKeyDown={keepEscape}
      />
      {hasPreview && <p class="muted">What is shown above is still what the model asked for.</p>}
      <p id={`${id}-fault`} class="field-problem" role="status">
        {fault}
      </p>
    </div>
  );
}

function Reason({ reason }: { reason: Signal<string | null> }) {
  const id = useId();
  const field = useFocusAtFirst<HTMLInputElement>();
  return (
    <div class="ask-part">
      <label for={id}>Why not? The model reads this.</label>
      <input
        ref={field}
        id={id}
        class="field"
        maxLength={2000}
        value={reason.value ?? ""}
        onInput={(event) => {
          reason.value = event.currentTarget.value;
        }}
        onKeyDown={keepEscape}
      />
    </div>
  );
}

interface MoreScopesProps {
  question: ApprovalQuestion;
  agent: string;
  isOff: boolean;
  onAllow(scope: "agent" | "run"): void;
}

/** Allowing more than this call; only what Python offers. */
function MoreScopes({ question, agent, isOff, onAllow }: MoreScopesProps) {
  const isOpen = useSignal(false);
  const button = useRef<HTMLButtonElement>(null);
  const items: MenuItem[] = [];
  if (question.scopes.includes("run")) {
    items.push({ label: "Allow for this answer", icon: ListChecks, run: () => onAllow("run") });
  }
  if (question.scopes.includes("agent")) {
    items.push({ label: `Always allow for ${agent}`, icon: Bot, run: () => onAllow("agent") });
  }
  if (items.length === 0) return null;
  return (
    <>
      <GuardedButton
        buttonRef={button}
        class={question.outside.length === 0 ? "primary" : ""}
        aria-label="Allow for longer"
        aria-haspopup="menu"
        aria-expanded={isOpen.value}
        isOff={isOff}
        onPress={() => {
          isOpen.value = !isOpen.value;
        }}
      >
        <ChevronDown size={16} aria-hidden="true" />
      </GuardedButton>
      {isOpen.value && (
        <Menu
          anchor={button}
          label="Allow for longer"
          items={items}
          onClose={() => {
            isOpen.value = false;
          }}
        />
      )}
    </>
  );
}

/** For a field that the user asked for; the card itself never takes the focus. */
function useFocusAtFirst<Field extends HTMLElement>(): RefObject<Field | null> {
  const field = useRef<Field>(null);
  useEffect(() => field.current?.focus(), []);
  return field;
}
