/** What imports and exports say. */
import type { SkippedCount, TransferCounts } from "../api.gen";
import { formatCount } from "../ui/format";

export const PROGRAMS: Record<string, string> = {
  deskside: "Deskside",
  chatgpt: "ChatGPT",
  claude: "Claude",
  openwebui: "Open WebUI",
  librechat: "LibreChat",
};

const KINDS: Record<SkippedCount["kind"], [one: string, more: string]> = {
  conversation: ["conversation", "conversations"],
  message: ["message", "messages"],
  part: ["part of a message", "parts of messages"],
  file: ["file", "files"],
  link: ["link between messages", "links between messages"],
  note: ["note", "notes"],
};

export function counted(count: number, one: string, more = `${one}s`): string {
  return `${formatCount(count)} ${count === 1 ? one : more}`;
}

export function countedKind({ kind, count }: SkippedCount): string {
  return counted(count, ...KINDS[kind]);
}

/** What comes, or came: one line a fact. */
export function facts(counts: TransferCounts, isDone: boolean): string[] {
  const { conversations, messages, files, already_here, grown, beside } = counts;
  const lines = [];
  if (conversations > 0) {
    const of_messages = `${counted(conversations, "conversation")} with ${counted(messages, "message")}`;
    lines.push(of_messages + (files > 0 ? ` and ${counted(files, "file")}` : ""));
  } else if (isDone) lines.push("No conversation");
  if (already_here > 0) {
    lines.push(`${counted(already_here, "conversation")} ${already_here === 1 ? "is" : "are"} here already`);
  }
  if (grown > 0) {
    const verb = isDone ? "took" : "will take";
    lines.push(`${formatCount(grown)} ${verb} the place of an earlier import, which goes to the trash`);
  }
  if (beside > 0) {
    lines.push(
      `${formatCount(beside)} ${isDone ? "came" : "will come"} beside an earlier import that you went on with`,
    );
  }
  return lines;
}
