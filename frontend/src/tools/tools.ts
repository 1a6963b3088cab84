/** The tools that agents can call, as the page may know and change them. */
import { signal } from "@preact/signals";
import type { Commands, CreateToolInput, ToolRow, UnfinishedTool } from "../api.gen";
import { BridgeError } from "../bridge";

export type Tools = ReturnType<typeof createTools>;
export type Approval = ToolRow["approval"];
export type Capability = ToolRow["capabilities"][number];

export const APPROVALS: { value: Approval; label: string }[] = [
  { value: "never", label: "Never ask" },
  { value: "ask", label: "Ask" },
  { value: "always_ask", label: "Always ask" },
];

export const EFFECTS: Record<ToolRow["effect"], string> = {
  read: "Reads",
  write: "Writes",
  send: "Sends",
  execute: "Runs code",
};

export const CAPABILITIES: { value: Capability; label: string; hint: string }[] = [
  {
    value: "files",
    label: "Read files in the folders you granted",
    hint: "The code can call read_text(path) and list_dir(path).",
  },
  {
    value: "web",
    label: "Fetch web pages",
    hint: "The code can call fetch_text(url). An address can carry text away, so the tool counts as sending.",
  },
  { value: "time", label: "Know the date and time", hint: "Without this, datetime.now() and the like fail." },
];

/** What is being written: a new tool, or another version of one. It stays when the user looks elsewhere. */
export interface Draft {
  /** The tool as it is kept; null for a new one. */
  kept: ToolRow | null;
  source: string;
  name: string;
  description: string;
  category: string;
  /** A JSON Schema as text: what is typed need not be one yet. */
  parameters: string;
  capabilities: Capability[];
  /** What the user wrote themselves no longer follows the code. */
  own: { name: boolean; description: boolean; parameters: boolean };
}

const STARTER = `def longest_words(text: str, count: int = 5) -> list[str]:
    """Find the longest words of a text.

    text: Where to look.
    count: How many words to return.
    """
    words = sorted(set(text.split()), key=len, reverse=True)
    return words[:count]
`;

export function newDraft(): Draft {
  return {
    kept: null,
    source: STARTER,
    name: "",
    description: "",
    category: "",
    parameters: "",
    capabilities: [],
    own: { name: false, description: false, parameters: false },
  };
}

export function draftOf(row: ToolRow): Draft {
  return {
    kept: row,
    source: row.source ?? "",
    name: row.name,
    description: row.description,
    category: row.category,
    parameters: asText(row.parameters),
    capabilities: row.capabilities,
    // Until the code was read: then what agrees with it follows it again.
    own: { name: true, description: true, parameters: true },
  };
}

export const asText = (value: unknown): string => JSON.stringify(value, null, 2);

/** A JSON object, or null where the text is none. */
export function asObject(text: string): Record<string, unknown> | null {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null && !Array.isArray(value)
      ? (value as Record<string, unknown>)
      : null;
  } catch {
    return null;
  }
}

/** What the list shows of a description that was written for a model. */
export function firstSentence(description: string): string {
  const paragraph =
    description
      .split(/\n\s*\n/)[0]
      ?.replace(/\s+/g, " ")
      .trim() ?? "";
  return /^.*?[.!?](?=\s+[A-Z]|$)/.exec(paragraph)?.[0] ?? paragraph;
}

export interface ToolGroup {
  title: string;
  tools: ToolRow[];
}

/** The user's own first: they are here to change something. */
export function grouped(rows: ToolRow[]): ToolGroup[] {
  const servers = [
    ...new Set(rows.filter((row) => row.kind === "mcp").map((row) => row.server ?? "")),
  ].sort();
  const groups = [
    { title: "Your tools", tools: rows.filter((row) => row.kind === "user") },
    ...servers.map((server) => ({
      title: server ? `From “${server}”` : "From an MCP server",
      tools: rows.filter((row) => row.kind === "mcp" && (row.server ?? "") === server),
    })),
    { title: "Built in", tools: rows.filter((row) => row.kind === "built_in") },
  ];
  return groups.filter((group) => group.tools.length > 0);
}

function asUnfinished({ kept, own, ...draft }: Draft): UnfinishedTool {
  return { ...draft, replaces: kept?.name ?? null, own: OWN.filter((name) => own[name]) };
}

/** As it was written; a tool that was deleted meanwhile becomes a new one. */
function fromUnfinished({ replaces, own, ...draft }: UnfinishedTool, rows: ToolRow[]): Draft {
  return {
    ...draft,
    kept: rows.find(({ name, kind }) => name === replaces && kind === "user") ?? null,
    own: {
      name: own.includes("name"),
      description: own.includes("description"),
      parameters: own.includes("parameters"),
    },
  };
}

const OWN = ["name", "description", "parameters"] as const;
const SAVE_AFTER_MS = 400;

export function createTools(api: Pick<Commands, "tools">) {
  const list = signal<ToolRow[] | null>(null);
  const loadProblem = signal<BridgeError | null>(null);
  const draft = signal<Draft | null>(null);
  /** What Python has of the draft; undefined until it was asked. */
  let stored: Draft | null | undefined;
  let timer: ReturnType<typeof setTimeout> | undefined;

  draft.subscribe((now) => {
    clearTimeout(timer);
    // What is done must not come back, however soon the window is closed.
    if (now === null) void saveDraft();
    else timer = setTimeout(() => void saveDraft(), SAVE_AFTER_MS);
  });

  /** Keep the draft now. What could not be kept is tried again with the next change. */
  async function saveDraft(): Promise<void> {
    clearTimeout(timer);
    const now = draft.value;
    if (stored === undefined || now === stored) return;
    try {
      await api.tools.save_draft({ tool: now && asUnfinished(now) });
      stored = now;
    } catch (error) {
      if (!(error instanceof BridgeError)) throw error;
    }
  }

  /** The section is shown: the list, and at the first time what was being written. */
  async function open(): Promise<void> {
    await load();
    if (stored !== undefined || !list.value) return;
    try {
      const found = await api.tools.saved_draft();
      stored = found && fromUnfinished(found, list.value);
      draft.value ??= stored;
    } catch (error) {
      if (!(error instanceof BridgeError)) throw error;
    }
  }

  async function load(): Promise<void> {
    try {
      list.value = await api.tools.list();
      loadProblem.value = null;
    } catch (error) {
      if (!(error instanceof BridgeError)) throw error;
      loadProblem.value = error;
    }
  }

  function put(row: ToolRow, before = row.name): void {
    const others = (list.value ?? []).filter(({ name }) => name !== before);
    list.value = [...others, row].sort((a, b) => (a.name < b.name ? -1 : 1));
  }

  /** What was asked for last. What comes after it finds what it left. */
  let underWay: Promise<unknown> = Promise.resolve();

  function inOrder<T>(act: () => Promise<T>): Promise<T> {
    const done = underWay.then(act, act);
    underWay = done;
    return done;
  }

  /** Raises BridgeError, as the others below: who called says why. */
  const change = (name: string, changes: { approval?: Approval; is_enabled?: boolean }): Promise<void> =>
    inOrder(async () => put(await api.tools.change({ name, ...changes })));

  async function save(tool: CreateToolInput, kept: ToolRow | null): Promise<void> {
    if (kept) put(await api.tools.update({ name: kept.name, tool }), kept.name);
    else put(await api.tools.create(tool));
    draft.value = null;
  }

  /** Gives what `restore` takes: the tool as it was then, a change that was still under way in it. */
  const remove = (row: ToolRow): Promise<ToolRow> =>
    inOrder(async () => {
      const now = list.value?.find(({ name }) => name === row.name) ?? row;
      await api.tools.delete({ name: row.name });
      list.value = (list.value ?? []).filter(({ name }) => name !== row.name);
      return now;
    });

  /** Undo `remove`. */
  async function restore(row: ToolRow): Promise<void> {
    const { name, description, parameters, category, capabilities, approval, is_enabled } = row;
    const source = row.source ?? "";
    put(
      await api.tools.create({
        name,
        description,
        parameters,
        source,
        category,
        capabilities,
        approval,
        is_enabled,
      }),
    );
  }

  return { list, loadProblem, draft, open, saveDraft, load, change, save, remove, restore };
}
