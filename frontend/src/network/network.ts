/** What left this computer, as the settings show it, and the switch that keeps everything here. No JSX, no DOM. */
import { signal } from "@preact/signals";
import type { AppEvent, Commands, HostTotal, NetworkRow } from "../api.gen";
import { BridgeError } from "../bridge";

export type Network = ReturnType<typeof createNetwork>;
export type Kind = NetworkRow["purpose"];

export const PERIODS = [
  { days: 1, label: "Last 24 hours" },
  { days: 7, label: "Last 7 days" },
  { days: 30, label: "Last 30 days" },
];
const DAY_MS = 86_400_000;
const PAGE = 50;
const MOST = 500;

export const KINDS: Record<Kind, string> = {
  model_call: "Asking a model",
  model_list: "List of models",
  server_search: "Looking for servers on this computer",
  model_download: "Download of the on-device model",
  device: "Looking after the on-device model",
  web_fetch: "Reading a page",
  web_search: "Searching the web",
  mcp: "MCP server",
  mcp_sign_in: "Signing in at an MCP server",
  error_report: "Reporting an error",
  update_look: "Looking for a newer Deskside",
  other: "Something else",
};

/** "Asking a model: openai/gpt-5" */
export function purposeText({ purpose, subject }: Pick<NetworkRow, "purpose" | "subject">): string {
  return subject ? `${KINDS[purpose]}: ${subject}` : KINDS[purpose];
}

/** How it ended, where that is worth a word; `isBad` where something did not work. */
export function outcomeText(outcome: string): { text: string; isBad: boolean } | null {
  switch (outcome) {
    case "":
      return { text: "Going on now", isBad: false };
    case "stopped":
      return { text: "Stopped by you or by a limit", isBad: false };
    case "failed":
      return { text: "Not reached, or broken off", isBad: true };
    case "cut":
      return { text: "Cut when you went offline", isBad: false };
    case "refused":
      return { text: "Not made: Deskside was offline", isBad: false };
    case "lost":
      return { text: "Deskside ended first", isBad: true };
    default:
      return null;
  }
}

export function createNetwork(api: Pick<Commands, "network">) {
  const rows = signal<NetworkRow[] | null>(null);
  const totals = signal<HostTotal[]>([]);
  const hasMore = signal(false);
  const host = signal("");
  const kind = signal<Kind | null>(null);
  const withLoopback = signal(false);
  const days = signal(7);
  const problem = signal<BridgeError | null>(null);
  let asked = 0;

  async function load(): Promise<void> {
    const number = ++asked;
    // As many as are shown already: what was scrolled to stays.
    const limit = Math.min(MOST, Math.max(PAGE, rows.value?.length ?? 0));
    try {
      const [found, sums] = await Promise.all([
        api.network.page({ ...filters(), limit }),
        api.network.totals({ since_ms: Date.now() - days.value * DAY_MS, with_loopback: withLoopback.value }),
      ]);
      if (number !== asked) return; // another choice was made meanwhile
      rows.value = found;
      totals.value = sums;
      hasMore.value = found.length === limit;
      problem.value = null;
    } catch (error) {
      if (!(error instanceof BridgeError)) throw error;
      problem.value = error;
    }
  }

  /** Raises BridgeError. */
  async function more(): Promise<void> {
    const shown = rows.value ?? [];
    const last = shown.at(-1)?.id ?? null;
    const number = asked;
    const found = await api.network.page({ ...filters(), before: last, limit: PAGE });
    if (number !== asked) return;
    rows.value = [...shown, ...found];
    hasMore.value = found.length === PAGE;
  }

  const filters = () => ({ host: host.value, purpose: kind.value, with_loopback: withLoopback.value });

  /** Change what is shown, from the newest on. */
  function show(change: () => void): void {
    rows.value = rows.value && [];
    change();
    void load();
  }

  function apply(event: AppEvent): void {
    if (event.type === "network_changed" && rows.value) void load();
  }

  /** The page is left: what happens from now on is not asked for. */
  function leave(): void {
    asked++;
    rows.value = null;
  }

  return { rows, totals, hasMore, host, kind, withLoopback, days, problem, load, more, show, apply, leave };
}
