/** What the open conversation costs, and money in words. No JSX, no DOM. */
import { signal } from "@preact/signals";
import type { Commands, Sum } from "../api.gen";
import { BridgeError } from "../bridge";
import { formatDollars } from "../settings/amounts";
import { formatCount } from "../ui/format";

export type Costs = ReturnType<typeof createCosts>;

interface Known {
  conversationId: number;
  total: Sum;
  byMessage: Map<number, Sum>;
}

export function createCosts(api: Pick<Commands, "usage">) {
  const known = signal<Known | null>(null);
  let newest = 0;

  /** Where it cannot be read, no cost is shown rather than an old one. */
  async function load(conversationId: number | null): Promise<void> {
    newest += 1;
    const mine = newest;
    if (known.value?.conversationId !== conversationId) known.value = null;
    if (conversationId === null) return;
    let found: Known | null = null;
    try {
      const { total, messages } = await api.usage.of_conversation({ conversation_id: conversationId });
      const byMessage = new Map(messages.map(({ message_id, sum }) => [message_id, sum]));
      found = { conversationId, total, byMessage };
    } catch (error) {
      if (!(error instanceof BridgeError)) throw error;
    }
    if (mine === newest) known.value = found;
  }

  return { known, load };
}

/** "3 calls". */
export const formatCalls = (count: number): string =>
  count === 1 ? "1 call" : `${formatCount(count)} calls`;

/** What is known of a sum: "$0.05", "At least $0.05" where some of it is not, "Cost unknown" where nothing is. */
export function formatSum(
  sum: Pick<Sum, "calls" | "cost_nano_usd" | "unknown_calls" | "partial_calls">,
): string {
  if (sum.calls > 0 && sum.unknown_calls === sum.calls) return "Cost unknown";
  const known = formatDollars(sum.cost_nano_usd);
  return sum.unknown_calls + sum.partial_calls > 0 ? `At least ${known}` : known;
}

/** Why a sum is not all, as sentences; none where it is. */
export function missingIn({ unknown_calls, partial_calls }: Sum): string[] {
  const said: string[] = [];
  if (unknown_calls > 0) {
    const verb = unknown_calls === 1 ? "is" : "are";
    said.push(
      `${formatCalls(unknown_calls)} whose cost is not known ${verb} not in this sum: ` +
        "the model has no price, or the answer broke off before the provider said what it used.",
    );
  }
  if (partial_calls > 0) {
    said.push(
      `${formatCalls(partial_calls)} ended early and may have cost more than the provider had said by then.`,
    );
  }
  return said;
}

/** Where the number comes from, and what is not in it. */
export function originOf(sum: Sum): string {
  const estimated = sum.calls - sum.billed_calls - sum.unknown_calls;
  const parts = [
    sum.billed_calls > 0 && `${formatCalls(sum.billed_calls)} as the provider billed`,
    estimated > 0 && `${formatCalls(estimated)} worked out from tokens and prices`,
  ];
  const known = parts.filter(Boolean).join(", ");
  return [known && `${known}.`, ...missingIn(sum)].filter(Boolean).join(" ");
}

/** 2026-11, of a moment on this machine's clock. */
export function monthOf(ms: number): string {
  const date = new Date(ms);
  return `${date.getFullYear()}-${String(date.getMonth() + 1).padStart(2, "0")}`;
}

/** The month that is so many months later. */
export function monthAfter(month: string, months: number): string {
  const [year = 0, number = 1] = month.split("-").map(Number);
  return monthOf(new Date(year, number - 1 + months, 1).getTime());
}

/** How many days the month has. */
export function daysIn(month: string): number {
  const [year = 0, number = 1] = month.split("-").map(Number);
  return new Date(year, number, 0).getDate();
}

const named = new Intl.DateTimeFormat("en", { month: "long", year: "numeric" });
const dayNamed = new Intl.DateTimeFormat("en", { day: "numeric", month: "short" });

/** "November 2026". */
export function formatMonth(month: string): string {
  const [year = 0, number = 1] = month.split("-").map(Number);
  return named.format(new Date(year, number - 1, 1));
}

/** "Nov 25", of 2026-11-25. */
export function formatDate(day: string): string {
  const [year = 0, month = 1, date = 1] = day.split("-").map(Number);
  return dayNamed.format(new Date(year, month - 1, date));
}
