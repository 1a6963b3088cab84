/**
 * One message as the page holds it.
 *
 * Text that streams in is merged by its offset, so the same delta can come twice. It is `received` at
 * once and shown by `show()`, which the conversation calls at most once a frame.
 */
import { type Signal, signal } from "@preact/signals";
import type { MessageRow, NotePart, PausePart, ReplyRetried, TextAppended, ToolCallPart } from "../api.gen";

type Part = MessageRow["parts"][number];

export interface TextState {
  kind: "text" | "reasoning" | "user";
  received: string;
  text: Signal<string>;
}

export interface ToolCallState {
  kind: "tool_call";
  received: string;
  call: Signal<ToolCallPart>;
}

export interface NoteState {
  kind: "note";
  received: string;
  note: Signal<NotePart>;
}

export interface PauseState {
  kind: "pause";
  received: string;
  pause: Signal<PausePart>;
}

export type PartState = TextState | ToolCallState | NoteState | PauseState;

/** `row.parts` is what the last whole row said; `parts` is what is shown. */
export interface MessageState {
  readonly id: number;
  readonly row: Signal<MessageRow>;
  readonly parts: Signal<PartState[]>;
  /** A failed model call is about to be made again. */
  readonly retrying: Signal<ReplyRetried | null>;
}

export function createMessage(row: MessageRow): MessageState {
  return { id: row.id, row: signal(row), parts: signal(row.parts.map(createPart)), retrying: signal(null) };
}

/** Take over a whole row. Parts keep their identity, so that what is on the screen stays. */
export function replaceRow(message: MessageState, row: MessageRow): void {
  const isStreaming = row.status === "streaming";
  /** A part is another one now: what was behind it belonged to an attempt that was thrown away. */
  let isReplaced = false;
  const parts = row.parts.map((part, position) => {
    const old = message.parts.value[position];
    if (!old || old.kind !== part.kind || isReplaced) {
      isReplaced ||= old !== undefined;
      return createPart(part);
    }
    // A row of a reply that still streams may be older than the text that came with events.
    if (!isStreaming || !isAhead(old, part)) setPart(old, part);
    return old;
  });
  if (isStreaming && !isReplaced) parts.push(...message.parts.value.slice(parts.length));
  message.row.value = row;
  message.parts.value = parts;
  message.retrying.value = null;
}

/** Returns false when something before this part is missing. */
export function changePart(message: MessageState, position: number, part: Part): boolean {
  const parts = message.parts.value;
  const old = parts[position];
  if (position > parts.length) return false;
  if (old?.kind === part.kind) setPart(old, part);
  else message.parts.value = [...parts.slice(0, position), createPart(part), ...parts.slice(position + 1)];
  message.retrying.value = null;
  return true;
}

/** From `position` on the parts are these. Returns false when something before them is missing. */
export function replaceParts(message: MessageState, position: number, parts: Part[]): boolean {
  const old = message.parts.value;
  if (position > old.length) return false;
  message.parts.value = [...old.slice(0, position), ...parts.map(createPart)];
  return true;
}

/** Merge streamed text; null when text before it is missing. Show the part that is returned. */
export function appendText(message: MessageState, event: TextAppended): PartState | null {
  message.retrying.value = null;
  const part = message.parts.value[event.position] ?? addTextPart(message, event);
  if (!part || part.kind !== (event.kind === "arguments" ? "tool_call" : event.kind)) return null;
  if (event.offset > part.received.length) return null;
  part.received += event.text.slice(part.received.length - event.offset);
  return part;
}

export function show(part: PartState): void {
  if (part.kind === "tool_call") part.call.value = { ...part.call.value, arguments: part.received };
  else if ("text" in part) part.text.value = part.received;
}

/** What the user is asked by a part, if anything: nothing goes on without their word. */
export function askedBy(part: PartState): "approval" | "elicitation" | "pause" | null {
  if (part.kind === "pause") return part.pause.value.status === "waiting" ? "pause" : null;
  if (part.kind !== "tool_call") return null;
  const { status, elicitation } = part.call.value;
  if (status === "waiting") return "approval";
  return status === "running" && elicitation ? "elicitation" : null;
}

/** The answer without reasoning and tool calls: what "Copy" takes. */
export function plainText(message: MessageState): string {
  const texts = message.parts.value.flatMap((part) => (part.kind === "text" ? [part.received] : []));
  return texts.join("\n\n");
}

function addTextPart(message: MessageState, event: TextAppended): PartState | null {
  if (event.kind === "arguments" || event.position !== message.parts.value.length) return null;
  const part = createPart({ kind: event.kind, text: "" });
  message.parts.value = [...message.parts.value, part];
  return part;
}

function createPart(part: Part): PartState {
  const received = textOf(part);
  switch (part.kind) {
    case "tool_call":
      return { kind: part.kind, received, call: signal(part) };
    case "note":
      return { kind: part.kind, received, note: signal(part) };
    case "pause":
      return { kind: part.kind, received, pause: signal(part) };
    default:
      return { kind: part.kind, received, text: signal(part.text) };
  }
}

/** `part` is of the same kind as `old`. */
function setPart(old: PartState, part: Part): void {
  old.received = textOf(part);
  if (old.kind === "tool_call" && part.kind === "tool_call") old.call.value = part;
  else if (old.kind === "note" && part.kind === "note") old.note.value = part;
  else if (old.kind === "pause" && part.kind === "pause") old.pause.value = part;
  else show(old);
}

/** Whether what is here is `part` and more of it. A call that has as much text may have another status. */
function isAhead(old: PartState, part: Part): boolean {
  const text = textOf(part);
  return old.received.startsWith(text) && old.received.length > text.length;
}

function textOf(part: Part): string {
  return part.kind === "tool_call" ? part.arguments : part.text;
}
