/** Rows as Python would send them, for tests. */
import type {
  AgentRow,
  ApprovalQuestion,
  AppState,
  AttachmentRow,
  ConversationRow,
  MessageRow,
  Settings,
  StartedRun,
  TextAppended,
  ToolCallPart,
} from "./api.gen";

export const NOON_MS = Date.UTC(2026, 10, 20, 12);

export function conversationRow(changes: Partial<ConversationRow> = {}): ConversationRow {
  return {
    id: 1,
    title: "Plans",
    model: null,
    draft: "",
    created_ms: NOON_MS,
    updated_ms: NOON_MS,
    agent: "assistant",
    is_waiting: false,
    folder_id: null,
    is_pinned: false,
    is_archived: false,
    deleted_ms: null,
    tags: [],
    is_running: false,
    ...changes,
  };
}

export function question(id: number, text: string, changes: Partial<MessageRow> = {}): MessageRow {
  return {
    id,
    conversation_id: 1,
    parent_id: id > 1 ? id - 1 : null,
    role: "user",
    status: "complete",
    parts: [{ kind: "text", text }],
    model: null,
    run_id: null,
    error: null,
    usage: null,
    versions: [id],
    created_ms: NOON_MS,
    finished_ms: NOON_MS,
    agent: null,
    delegator_id: null,
    call_position: null,
    queue_place: 0,
    steering: [],
    attachments: [],
    ...changes,
  };
}

export function agentRow(name: string, label: string, changes: Partial<AgentRow> = {}): AgentRow {
  return {
    id: 1,
    name,
    label,
    icon: "",
    instructions: "",
    model: null,
    fallback_models: [],
    temperature: null,
    max_output_tokens: null,
    reasoning_effort: null,
    output_schema: null,
    step_limit: 20,
    tools: null,
    subagents: [],
    limits: {
      run: { cost_nano_usd: null, tokens: null, seconds: null, tool_calls: null },
      day: { cost_nano_usd: null, tokens: null },
      month: { cost_nano_usd: null, tokens: null },
    },
    is_active: true,
    ...changes,
  };
}

/** A call of `calculate` that has finished. */
export function toolCall(changes: Partial<ToolCallPart> = {}): ToolCallPart {
  return {
    kind: "tool_call",
    call_id: "call_1",
    name: "calculate",
    arguments: '{"expression": "6*7"}',
    status: "finished",
    output: "42",
    duration_ms: 3,
    origin: "tool",
    source: "",
    is_outside: false,
    hidden_characters: 0,
    approval: null,
    elicitation: null,
    is_agent: false,
    ...changes,
  };
}

/** A question about a call that nobody has answered. */
export function approval(changes: Partial<ApprovalQuestion> = {}): ApprovalQuestion {
  return {
    reasons: [],
    effect: "write",
    summary: "",
    diff: "",
    outside: [],
    scopes: [],
    asked_ms: NOON_MS,
    decision: "",
    scope: "once",
    reason: "",
    arguments_before: null,
    decided_ms: 0,
    ...changes,
  };
}

/** A call that waits for the user. */
export function waitingCall(
  changes: Partial<ToolCallPart> = {},
  question: Partial<ApprovalQuestion> = {},
): ToolCallPart {
  return toolCall({
    name: "write_file",
    arguments: '{"path": "plan.md", "content": "Monday: soup"}',
    status: "waiting",
    output: null,
    duration_ms: 0,
    approval: approval(question),
    ...changes,
  });
}

export function reply(id: number, text: string, changes: Partial<MessageRow> = {}): MessageRow {
  const parts: MessageRow["parts"] = text ? [{ kind: "text", text }] : [];
  return question(id, text, { role: "assistant", parts, model: "openai/gpt-5", run_id: id, ...changes });
}

export function textAppended(
  messageId: number,
  offset: number,
  text: string,
  changes: Partial<TextAppended> = {},
): TextAppended {
  return {
    type: "text_appended",
    conversation_id: 1,
    message_id: messageId,
    position: 0,
    kind: "text",
    offset,
    text,
    ...changes,
  };
}

export function startedRun(questionRow: MessageRow | null, replyRow: MessageRow): StartedRun {
  return {
    run_id: replyRow.run_id ?? replyRow.id,
    conversation: conversationRow({ id: replyRow.conversation_id, is_running: true }),
    question: questionRow,
    reply: replyRow,
  };
}

export const settings: Settings = {
  theme: "system",
  language: "en",
  default_model: null,
  servers: [],
  openai_base_url: null,
  anthropic_base_url: null,
  device_model: null,
  folders: [],
  has_chosen_start: true,
  user_name: "",
  fields: [],
  limits: { day: { cost_nano_usd: null, tokens: null }, month: { cost_nano_usd: null, tokens: null } },
  max_runs: 4,
  names_conversations: false,
  looks_for_updates: true,
  is_offline: false,
  records_runs: true,
  recordings_days: 90,
  recordings_mb: 1000,
  sentry_dsn: "",
  notifies: true,
  notification_text: "title",
  closes_to_tray: false,
  zoom_percent: 100,
};

export function appState(changes: Partial<AppState> = {}): AppState {
  return {
    version: "0.1.0",
    platform: "linux",
    data_folder: "/home/ada/.local/share/deskside",
    settings,
    default_model: "openai/gpt-5",
    needs_start: false,
    drags_files: false,
    draft: "",
    last_event: 0,
    trouble: null,
    rescued: null,
    ...changes,
  };
}

/** A text that was attached and read. */
export function attachment(id: number, name: string, changes: Partial<AttachmentRow> = {}): AttachmentRow {
  return {
    id,
    name,
    media_type: "text/plain",
    size_bytes: 2_000,
    sha256: `${id}`.padStart(64, "a"),
    text_status: "ready",
    text_error: "",
    hidden_characters: 0,
    ...changes,
  };
}
