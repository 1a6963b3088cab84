/** Which addresses in a text lead anywhere, and how they look. Nothing here navigates: see Markdown.tsx. */

import { escapeHtml } from "./html";

const LINK_PROTOCOLS = ["http:", "https:", "mailto:"];
const DATA_IMAGE = /^data:image\/(?:png|jpeg|gif|webp|avif|bmp);base64,[A-Za-z0-9+/]+=*$/i;

/** The address as the browser reads it, if it is one that may be opened; null for any other. */
export function openableUrl(href: string): string | null {
  const url = parseUrl(href);
  return url !== null && LINK_PROTOCOLS.includes(url.protocol) ? url.href : null;
}

/** A link, or its text alone where the address leads nowhere we go. `content` is HTML. */
export function linkHtml(href: string, title: string | null | undefined, content: string): string {
  const url = openableUrl(href);
  if (url === null) return `<span class="md-inert-link">${content}</span>`;
  // A web view has no status bar: the tooltip is where a reader sees where a link really goes.
  const tooltip = title ? `${title}\n${url}` : url;
  return `<a href="${escapeHtml(url)}" title="${escapeHtml(tooltip)}" rel="noopener noreferrer">${content}</a>`;
}

/** An image that is in the text or on our own server; any other becomes a link, so that nothing is fetched. */
export function imageHtml(href: string, title: string | null | undefined, alt: string): string {
  const source = imageSource(href);
  if (source === null) return linkHtml(href, title, escapeHtml(alt || href));
  const tooltip = title ? ` title="${escapeHtml(title)}"` : "";
  return `<img src="${escapeHtml(source)}" alt="${escapeHtml(alt)}"${tooltip} loading="lazy" decoding="async">`;
}

function imageSource(href: string): string | null {
  if (DATA_IMAGE.test(href)) return href;
  const isPath = href.startsWith("/") || href.startsWith(`${location.origin}/`);
  const url = isPath ? parseUrl(href, location.origin) : null;
  return url?.origin === location.origin ? url.pathname + url.search : null;
}

/** null for what is no address. (`URL.parse` and `URL.canParse` are newer than the oldest web view we run in.) */
function parseUrl(href: string, base?: string): URL | null {
  try {
    // The one entity that people write in addresses; any other stays as it is and leads nowhere.
    return new URL(href.replaceAll("&amp;", "&"), base);
  } catch (error) {
    if (error instanceof TypeError) return null;
    throw error;
  }
}
