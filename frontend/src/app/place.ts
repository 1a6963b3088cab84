/**
 * Where the user is, as the address after `#`: it survives a reload, and nothing else does.
 */
export const SECTIONS = [
  "keys",
  "servers",
  "device",
  "agents",
  "limits",
  "usage",
  "tools",
  "mcp",
  "folders",
  "memory",
  "appearance",
  "desktop",
  "data",
  "network",
  "diagnostics",
  "about",
] as const;
export type Section = (typeof SECTIONS)[number];

export type Place =
  | { view: "chat"; conversationId: number | null }
  | { view: "settings"; section: Section }
  /** What was recorded of a run, and the conversation that it is in. */
  | { view: "run"; runId: number; conversationId: number }
  /** Two runs side by side, and the conversation that the first one is in. */
  | { view: "compare"; leftRun: number; rightRun: number; conversationId: number };

/** Written in place: no history to go back in, and nothing that a navigation lock has to judge. */
export const windowAddress = {
  get hash(): string {
    return location.hash;
  },
  set hash(hash: string) {
    history.replaceState(null, "", hash);
  },
};

export function placeOf(hash: string): Place {
  const [, view, detail = "", more = "", last = ""] = hash.split("/");
  if (view === "settings") {
    return { view, section: SECTIONS.find((section) => section === detail) ?? "keys" };
  }
  const id = idOf(detail);
  const second = idOf(more);
  const third = idOf(last);
  if (view === "run" && id !== null && second !== null) return { view, runId: id, conversationId: second };
  if (view === "compare" && id !== null && second !== null && third !== null) {
    return { view, leftRun: id, rightRun: second, conversationId: third };
  }
  return { view: "chat", conversationId: view === "run" || view === "compare" ? null : id };
}

function idOf(text: string): number | null {
  const id = Number(text);
  return Number.isSafeInteger(id) && id > 0 ? id : null;
}

export function hashOf(place: Place): string {
  if (place.view === "settings") return `#/settings/${place.section}`;
  if (place.view === "run") return `#/run/${place.runId}/${place.conversationId}`;
  if (place.view === "compare") return `#/compare/${place.leftRun}/${place.rightRun}/${place.conversationId}`;
  return place.conversationId === null ? "#/chat" : `#/chat/${place.conversationId}`;
}
