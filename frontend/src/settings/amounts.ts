/** Amounts as a person types them, and as Python keeps them: money in nano-dollars, the rest whole. */

const NANO_DIGITS = 9;

/** Null for an empty field, which is no limit; undefined where it is no amount. */
export function readDollars(typed: string): number | null | undefined {
  const text = typed.replace(/[$\s]/g, "");
  if (text === "") return null;
  const isGrouped = /^\d{1,3}(,\d{3})+(\.\d+)?$/.test(text);
  const plain = isGrouped ? text.replaceAll(",", "") : text.replace(",", ".");
  const parts = /^(\d{0,6})(?:\.(\d{0,9}))?$/.exec(plain);
  if (!parts || plain === ".") return undefined;
  const [, whole = "", fraction = ""] = parts;
  return Number(whole || "0") * 10 ** NANO_DIGITS + Number(fraction.padEnd(NANO_DIGITS, "0"));
}

/** Null for an empty field; undefined where it is no whole number from `least` on. */
export function readCount(typed: string, least = 0): number | null | undefined {
  const text = typed.replace(/[\s,._']/g, "");
  if (text === "") return null;
  if (!/^\d{1,12}$/.test(text)) return undefined;
  const count = Number(text);
  return count >= least ? count : undefined;
}

/** As it goes into a field: "5", "0.25". */
export function dollarsField(nanoUsd: number | null): string {
  if (nanoUsd === null) return "";
  const digits = String(nanoUsd).padStart(NANO_DIGITS + 1, "0");
  const whole = digits.slice(0, -NANO_DIGITS);
  const fraction = digits.slice(-NANO_DIGITS).replace(/0+$/, "");
  if (fraction === "") return whole;
  return `${whole}.${fraction.padEnd(2, "0")}`;
}

export const countField = (count: number | null): string => (count === null ? "" : String(count));

const money = new Intl.NumberFormat("en", { style: "currency", currency: "USD" });
const small = new Intl.NumberFormat("en", {
  style: "currency",
  currency: "USD",
  maximumSignificantDigits: 2,
});

/** "$4.20"; less than a cent has two digits that say something. */
export function formatDollars(nanoUsd: number): string {
  const dollars = nanoUsd / 10 ** NANO_DIGITS;
  return dollars > 0 && dollars < 0.01 ? small.format(dollars) : money.format(dollars);
}
