/** Figures as Diagnostics writes them: finer than the rest of the page does. */
import { formatBytes, formatCount, formatDuration } from "../ui/format";

/** 0.42 → "0.4 ms"; most commands and store functions take less than one. */
export function formatFine(ms: number): string {
  if (ms < 0.1) return "under 0.1 ms";
  return ms < 10 ? `${ms.toFixed(1)} ms` : formatDuration(ms);
}

export const formatPercent = (value: number): string =>
  `${value < 10 ? Math.round(value * 10) / 10 : Math.round(value)} %`;

export const formatSpeed = (bytesPerS: number): string => `${formatBytes(bytesPerS)}/s`;

export const formatWhole = (value: number): string => formatCount(Math.round(value));
