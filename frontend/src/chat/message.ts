/**
 * One message as the page holds it.
 *
 * Text that streams in is merged by its offset, so the same delta can come twice. It is `received` at
 * once and shown by `show()`, which the conversation calls at most once a frame.
 */
import { type Signal, signal } from "@preact/signals";
import type { MessageRow, ReplyRetried, TextAppended, ToolCallPart } from "../api.gen";

type Part = MessageRow["parts"][number];

export interface TextState {
  kind: "text" | "reasoning";
  received: string;
  text: Signal<string>;
}

export interface ToolCallState {
  kind: "tool_call";
  received: string;
  call: Signal<ToolCallPart>;
}

export type PartState = TextState | ToolCallState;

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
  const parts = row.parts.map((part, position) => {
    const old = message.parts.value[position];
    if (!old || old.kind !== part.kind) return createPart(part);
    // A row of a reply that still streams may be older than the text that came with events.
    if (!isStreaming || !old.received.startsWith(textOf(part))) setPart(old, part);
    return old;
  });
  if (isStreaming) parts.push(...message.parts.value.slice(parts.length));
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
  else part.text.value = part.received;
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
  if (part.kind === "tool_call") return { kind: part.kind, received: part.arguments, call: signal(part) };
  return { kind: part.kind, received: part.text, text: signal(part.text) };
}

function setPart(old: PartState, part: Part): void {
  old.received = textOf(part);
  if (old.kind === "tool_call" && part.kind === "tool_call") old.call.value = part;
  else show(old);
}

function textOf(part: Part): string {
  return part.kind === "tool_call" ? part.arguments : part.text;
}
