import { type Signal, useSignal, useSignalEffect } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { DEFAULT_LABEL } from "../agents/choices";
import { type App, FILES_PROBLEM } from "../app/app";
import { useReport } from "../app/context";
import { PageHeader, type SidebarState } from "../app/PageHeader";
import { DropTarget } from "../attachments/DropTarget";
import { ErrorBoundary } from "../ui/ErrorBoundary";
import { formatTokens } from "../ui/format";
import { Problem } from "../ui/Problem";
import { formatSum, originOf } from "../usage/costs";
import { Composer } from "./Composer";
import type { Conversation, Question } from "./conversation";
import { plainText } from "./message";
import { remedyFor } from "./remedy";
import { Transcript } from "./Transcript";

interface Props {
  app: App;
  sidebar: SidebarState;
  isPickerOpen: Signal<boolean>;
}

export function Chat({ app, sidebar, isPickerOpen }: Props) {
  const report = useReport();
  const conversation = app.conversation.value;
  const row = conversation.row.value;
  const isEmpty = row === null && conversation.messages.value.length === 0;
  const openPicker = () => {
    isPickerOpen.value = true;
  };
  return (
    <div class="chat" data-empty={isEmpty}>
      <PageHeader title={row?.title} sidebar={sidebar}>
        <Spent app={app} conversation={conversation} />
      </PageHeader>
      {isEmpty ? (
        <Welcome app={app} />
      ) : (
        <ErrorBoundary where="The conversation" report={report}>
          <Transcript app={app} conversation={conversation} onChooseModel={openPicker} />
        </ErrorBoundary>
      )}
      <div class="composer-area">
        <SendProblem app={app} conversation={conversation} onChooseModel={openPicker} />
        <Composer app={app} conversation={conversation} isPickerOpen={isPickerOpen} />
      </div>
      <DropTarget onDrop={app.attach} isOwn={app.dragging.isUnderWay} />
      <Announcer conversation={conversation} />
    </div>
  );
}

/** What the conversation used and cost. Costs are known when a run ends; a title may come after that. */
function Spent({ app, conversation }: { app: App; conversation: Conversation }) {
  const { id, title } = conversation.row.value ?? { id: null, title: "" };
  const runningId = conversation.running.value?.id;
  useEffect(() => void app.costs.load(id), [id, title, runningId]);
  const tokens = conversation.tokens.value;
  const total = app.costs.known.value?.total;
  return (
    <span class="muted token-count" data-testid="usage-total" title={total && originOf(total)}>
      {tokens > 0 && formatTokens(tokens)}
      {total && total.calls > 0 && <span>{formatSum(total)}</span>}
    </span>
  );
}

function Welcome({ app }: { app: App }) {
  return (
    <div class="welcome">
      <h1>What can I help with?</h1>
      {app.model.value === null && (
        <p class="muted">
          Nothing is set up to answer yet.{" "}
          <button type="button" class="link" onClick={() => app.openSettings("keys")}>
            Add a key or a model
          </button>
        </p>
      )}
    </div>
  );
}

interface SendProblemProps {
  app: App;
  conversation: Conversation;
  onChooseModel(): void;
}

function SendProblem({ app, conversation, onChooseModel }: SendProblemProps) {
  const problem = conversation.problem.value;
  if (!problem || (problem.code === FILES_PROBLEM && !app.filesProblem())) return null;
  const remedy = remedyFor(problem.code, app, onChooseModel);
  return (
    <Problem message={problem.message} hint={problem.hint} requestId={problem.requestId}>
      {remedy && (
        <button type="button" class="button" onClick={remedy.run}>
          {remedy.label}
        </button>
      )}
      <button
        type="button"
        class="button quiet"
        onClick={() => {
          conversation.problem.value = null;
        }}
      >
        Dismiss
      </button>
    </Problem>
  );
}

/** Characters of a finished answer that are read out; the rest can be read in its place. */
const ANNOUNCED = 400;

/** Tells assistive technology that an answer is there, without reading every token. */
function Announcer({ conversation }: { conversation: Conversation }) {
  const said = useSignal("");
  const lastRunning = useRef(0);
  useSignalEffect(() => {
    const { running, messages, questions } = conversation;
    if (questions.value.length > 0) {
      if (running.value) lastRunning.current = running.value.id;
      said.value = askedAloud(questions.value);
      return;
    }
    if (running.value) {
      lastRunning.current = running.value.id;
      said.value = "Deskside is answering.";
      return;
    }
    const message = messages.value.find(({ id }) => id === lastRunning.current);
    lastRunning.current = 0;
    if (!message) return;
    const { status, error } = message.row.value;
    const text = plainText(message);
    const rest = text.length > ANNOUNCED ? "… The answer goes on." : "";
    said.value =
      status === "failed"
        ? `The answer failed: ${error?.message ?? ""}`
        : `Deskside said: ${text.slice(0, ANNOUNCED)}${rest}`;
  });
  return (
    <p class="visually-hidden" role="status">
      {said}
    </p>
  );
}

/** "Deskside asks you: may Assistant use write_file?" */
function askedAloud(questions: Question[]): string {
  const sentences = questions.map(({ kind, message, part }) => {
    if (kind === "pause") return "go on past a limit?";
    if (part.kind !== "tool_call") return "";
    const { name, elicitation } = part.call.value;
    if (kind === "elicitation") return `the server ${elicitation?.server} has a question.`;
    return `may ${message.row.value.agent ?? DEFAULT_LABEL} use ${name}?`;
  });
  return `Deskside asks you: ${sentences.join(" ")}`;
}
