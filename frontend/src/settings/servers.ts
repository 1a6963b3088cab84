/** Addresses and ids of OpenAI-compatible servers, as settings want them. */
import type { Server } from "../api.gen";

const TAKEN = ["openai", "anthropic", "device"];

/** "localhost:1234" → "http://localhost:1234/v1"; null when it is no address. */
export function serverAddress(typed: string): string | null {
  const text = typed.trim();
  const withScheme = /^[a-z][a-z0-9+.-]*:\/\//i.test(text) ? text : `http://${text}`;
  const url = /\s/.test(text) ? null : parsed(withScheme);
  if (!url) return null;
  if (url.protocol !== "http:" && url.protocol !== "https:") return null;
  const path = url.pathname.replace(/\/+$/, "");
  return url.origin + (path || "/v1");
}

/** URL.canParse is younger than the oldest web view. */
function parsed(address: string): URL | null {
  try {
    return new URL(address);
  } catch {
    return null;
  }
}

/** The first server is `local`; others are named after their label. */
export function serverId(label: string, servers: Server[]): string {
  const taken = new Set([...TAKEN, ...servers.map(({ id }) => id)]);
  if (!taken.has("local")) return "local";
  const slug = label
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, "-")
    .replace(/^[^a-z]+|-+$/g, "")
    .slice(0, 28);
  const base = slug || "server";
  let id = base;
  for (let number = 2; taken.has(id); number++) id = `${base}-${number}`;
  return id;
}
