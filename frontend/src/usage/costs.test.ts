import { describe, expect, test } from "vitest";
import type { Commands, ConversationUsage, Sum } from "../api.gen";
import { createCosts, daysIn, formatMonth, formatSum, monthAfter, originOf } from "./costs";

const USAGE = {
  input_tokens: 0,
  cache_read_tokens: 0,
  cache_write_tokens: 0,
  output_tokens: 0,
  reasoning_tokens: 0,
};

const sum = (
  calls: number,
  cost_nano_usd: number,
  unknown_calls = 0,
  billed_calls = 0,
  partial_calls = 0,
): Sum => ({
  calls,
  cost_nano_usd,
  unknown_calls,
  billed_calls,
  partial_calls,
  usage: USAGE,
});

describe("a sum", () => {
  test.each([
    [sum(0, 0), "$0.00"],
    [sum(2, 50_000_000), "$0.05"],
    [sum(2, 250_000), "$0.00025"],
    // Free is known, and not the same as unknown.
    [sum(2, 0), "$0.00"],
    [sum(2, 0, 2), "Cost unknown"],
    [sum(2, 50_000_000, 1), "At least $0.05"],
    [sum(5, 0, 3), "At least $0.00"],
    [sum(1, 50_000_000, 0, 0, 1), "At least $0.05"],
  ])("says what is not known of it", (given, said) => {
    expect(formatSum(given)).toBe(said);
  });

  test("says where it comes from", () => {
    expect(originOf(sum(6, 5, 1, 2, 1))).toBe(
      "2 calls as the provider billed, 3 calls worked out from tokens and prices. " +
        "1 call whose cost is not known is not in this sum: the model has no price, or the answer broke off " +
        "before the provider said what it used. " +
        "1 call ended early and may have cost more than the provider had said by then.",
    );
    expect(originOf(sum(2, 0, 2))).toMatch(/^2 calls whose cost is not known are not in this sum:/);
  });
});

test("months follow each other over the year's end", () => {
  expect(monthAfter("2026-12", 1)).toBe("2027-01");
  expect(monthAfter("2026-01", -1)).toBe("2025-12");
  expect(daysIn("2028-02")).toBe(29);
  expect(formatMonth("2026-11")).toBe("November 2026");
});

test("the costs of a chat that was left do not come to the one that is open", async () => {
  const answers = new Map<number, (found: ConversationUsage) => void>();
  const of_conversation = ({ conversation_id }: { conversation_id: number }) =>
    new Promise<ConversationUsage>((resolve) => answers.set(conversation_id, resolve));
  const costs = createCosts({ usage: { of_conversation } as unknown as Commands["usage"] });

  const loads = [costs.load(1), costs.load(2)];
  answers.get(2)?.({ total: sum(2, 20), messages: [{ message_id: 7, sum: sum(1, 5) }] });
  answers.get(1)?.({ total: sum(1, 10), messages: [] });
  await Promise.all(loads);

  expect(costs.known.value?.total.cost_nano_usd).toBe(20);
  expect(costs.known.value?.byMessage.get(7)?.cost_nano_usd).toBe(5);
  await costs.load(null);
  expect(costs.known.value).toBeNull();
});
