/** Numbers and times as a reader wants them. English; the language setting has one value so far. */
const whole = new Intl.NumberFormat("en");
const short = new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 1 });
const ago = new Intl.RelativeTimeFormat("en", { numeric: "auto" });
const moment = new Intl.DateTimeFormat("en", { dateStyle: "medium", timeStyle: "short" });

const day = new Intl.DateTimeFormat("en", { dateStyle: "medium" });

export const formatCount = (value: number): string => whole.format(value);

export const formatTokens = (count: number): string =>
  `${formatCount(count)} ${count === 1 ? "token" : "tokens"}`;

/** 128000 → "128K". */
export const formatShort = (value: number): string => short.format(value);

export const formatMoment = (ms: number): string => moment.format(ms);

/** "3 May 2026", as its reader's part of the world writes it. */
export const formatDay = (ms: number): string => day.format(ms);

/** "5 minutes ago"; under a minute is "just now". */
export function formatAgo(ms: number, now: number): string {
  const minutes = Math.floor((now - ms) / 60_000);
  if (minutes < 1) return "just now";
  if (minutes < 60) return ago.format(-minutes, "minute");
  if (minutes < 24 * 60) return ago.format(-Math.floor(minutes / 60), "hour");
  return ago.format(-Math.floor(minutes / (24 * 60)), "day");
}

/** Decimal units, as system file managers count. */
export function formatBytes(bytes: number): string {
  if (bytes < 1e6) return `${Math.ceil(bytes / 1e3)} KB`;
  if (bytes < 1e9) return `${Math.round(bytes / 1e6)} MB`;
  return `${(bytes / 1e9).toFixed(1)} GB`;
}

export function formatDuration(ms: number): string {
  if (ms < 1) return "under 1 ms";
  return ms < 1000 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(1)} s`;
}
