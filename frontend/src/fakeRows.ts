/** Rows as Python would send them, for tests. */
import type { AppState, ConversationRow, MessageRow, Settings, StartedRun, TextAppended } from "./api.gen";

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
    ...changes,
  };
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
};

export function appState(changes: Partial<AppState> = {}): AppState {
  return {
    version: "0.1.0",
    platform: "linux",
    data_folder: "/home/ada/.local/share/deskside",
    settings,
    default_model: "openai/gpt-5",
    needs_start: false,
    draft: "",
    last_event: 0,
    ...changes,
  };
}
