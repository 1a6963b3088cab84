/** MCP servers as the page may know them. What is typed into the form passes through `propose` and is not kept. */
import { signal } from "@preact/signals";
import type { Commands, McpServerRow, McpToolRow, ProposeServerInput } from "../api.gen";
import { BridgeError } from "../bridge";

export type McpServers = ReturnType<typeof createMcpServers>;

export function createMcpServers(api: Pick<Commands, "mcp">) {
  const rows = signal<McpServerRow[] | null>(null);
  const loadProblem = signal<BridgeError | null>(null);
  let isLoading = false;
  let isStale = false;

  /** One question at a time: a server that starts sends several events in a row. */
  async function load(): Promise<void> {
    isStale = true;
    if (isLoading) return;
    isLoading = true;
    try {
      while (isStale) {
        isStale = false;
        rows.value = await api.mcp.servers();
        loadProblem.value = null;
      }
    } catch (error) {
      if (!(error instanceof BridgeError)) throw error;
      loadProblem.value = error;
    } finally {
      isLoading = false;
    }
  }

  return {
    rows,
    loadProblem,
    load,
    /** False when the user said no. Raises BridgeError: the form says why. */
    async propose(proposal: ProposeServerInput): Promise<boolean> {
      const { server } = await api.mcp.propose(proposal);
      await load();
      return server !== null;
    },
    accept: (id: number, tools: McpToolRow[]) =>
      api.mcp.accept_tools({
        id,
        tools: tools.flatMap(({ name, offered }) => (offered ? [{ name, hash: offered.hash }] : [])),
      }),
  };
}

/** What a server's state is called, without its reason. */
export function stateText(server: McpServerRow): string {
  switch (server.state) {
    case "disabled":
      return "Switched off";
    case "idle":
      return "Not started";
    case "starting":
      return "Starting…";
    case "ready":
      return "Running";
    case "waiting":
      return "Stopped; tried again soon";
    case "failed":
      return "Stopped";
    case "offline":
      return "Not running while you are offline";
    case "signed_out":
      return "Needs you to sign in";
    case "signing_in":
      return "Signing in…";
    default:
      return server.state satisfies never;
  }
}

/** Tools whose definition the user has not accepted as it is now. */
export function toReview(server: McpServerRow): McpToolRow[] {
  return server.tools.filter((tool) => tool.offered && tool.is_offered);
}

/**
 * A command line as its words: spaces separate them, quotes keep them together, a backslash takes the next
 * character as it is (not within single quotes). Nothing else is special. Null when a quote is left open.
 */
export function splitCommand(line: string): string[] | null {
  const words: string[] = [];
  let word: string | null = null;
  let quote = "";
  for (let index = 0; index < line.length; index++) {
    const character = line.charAt(index);
    if (character === "\\" && quote !== "'" && index + 1 < line.length) {
      word = (word ?? "") + line.charAt(++index);
    } else if (quote) {
      if (character === quote) quote = "";
      else word = (word ?? "") + character;
    } else if (character === '"' || character === "'") {
      quote = character;
      word ??= "";
    } else if (/\s/.test(character)) {
      if (word !== null) words.push(word);
      word = null;
    } else {
      word = (word ?? "") + character;
    }
  }
  if (word !== null) words.push(word);
  return quote ? null : words;
}

/** The other way round: what is typed to get these words. */
export function joinCommand(words: string[]): string {
  return words
    .map((word) => (/^[^\s"'\\]+$/.test(word) ? word : `"${word.replace(/["\\]/g, "\\$&")}"`))
    .join(" ");
}
