/** What kind of file it is, and how it is shown. */
import type { AttachmentRow } from "../api.gen";

export type Kind = "image" | "pdf" | "office" | "text" | "other";

const OFFICE = "application/vnd.openxmlformats-officedocument.";

export function kindOf(mediaType: string): Kind {
  if (mediaType.startsWith("image/")) return "image";
  if (mediaType === "application/pdf") return "pdf";
  if (mediaType.startsWith(OFFICE)) return "office";
  return mediaType === "text/plain" ? "text" : "other";
}

/** In words, for who cannot see the picture of it. */
export function kindInWords({ media_type }: AttachmentRow): string {
  if (media_type.startsWith(OFFICE)) {
    if (media_type.includes("spreadsheetml")) return "Excel table";
    return media_type.includes("presentationml") ? "PowerPoint slides" : "Word document";
  }
  return { image: "Picture", pdf: "PDF", text: "Text", office: "Document", other: "File" }[
    kindOf(media_type)
  ];
}

/** With the hash, because what the engine keeps of an address must not outlive the file: ids are used again. */
export const addressOf = ({ id, sha256 }: AttachmentRow): string =>
  `/attachments/${id}?sha256=${sha256.slice(0, 16)}`;

const LANGUAGES: Record<string, string> = {
  bash: "bash",
  c: "c",
  cc: "cpp",
  cpp: "cpp",
  cs: "csharp",
  css: "css",
  diff: "diff",
  go: "go",
  h: "c",
  hpp: "cpp",
  htm: "xml",
  html: "xml",
  java: "java",
  js: "javascript",
  json: "json",
  jsx: "javascript",
  md: "markdown",
  mjs: "javascript",
  patch: "diff",
  py: "python",
  rs: "rust",
  sh: "bash",
  sql: "sql",
  svg: "xml",
  ts: "typescript",
  tsx: "typescript",
  xml: "xml",
  yaml: "yaml",
  yml: "yaml",
};

/** As highlight.js calls it; empty for what is no code. */
export function languageOf(name: string): string {
  const ending = name.slice(name.lastIndexOf(".") + 1).toLowerCase();
  return Object.hasOwn(LANGUAGES, ending) ? (LANGUAGES[ending] ?? "") : "";
}

export interface Section {
  title: string;
  text: string;
}

const SECTION = /^\[((?:Page|Slide|Sheet) [^\]\n]*)\]$/m;

/** The text of a PDF page by page, of slides and sheets one by one. What comes before the first has no title. */
export function sectionsOf(text: string): Section[] {
  const [before = "", ...rest] = text.split(SECTION);
  const sections: Section[] = before.trim() ? [{ title: "", text: before.trim() }] : [];
  for (let at = 0; at < rest.length; at += 2) {
    sections.push({ title: rest[at] ?? "", text: (rest[at + 1] ?? "").trim() });
  }
  return sections;
}
