/**
 * The last step before HTML reaches the page: DOMPurify with a list of what the renderer itself writes.
 *
 * The renderer never passes on HTML from the text, so nothing should ever be removed here; this is the net
 * under it. Everything is by list, not by exception: no style, no id or name (they could shadow the page's
 * own), no data-*, no SVG, no forms, no media.
 */

import DOMPurify, { type Config } from "dompurify";

const HTML_TAGS = [
  ..."a blockquote br button code del div em figcaption figure h1 h2 h3 h4 h5 h6 hr img kbd li ol p pre".split(
    " ",
  ),
  ..."span strong sub sup table tbody td th thead tr ul".split(" "),
];
const MATH_TAGS = (
  "math maction menclose merror mfrac mi mmultiscripts mn mo mover mpadded mphantom mroot mrow ms mspace msqrt " +
  "mstyle msub msubsup msup mtable mtd mtext mtr munder munderover"
).split(" ");

const HTML_ATTRIBUTES =
  "alt aria-label class decoding loading rel role scope start tabindex title type".split(" ");
const MATH_ATTRIBUTES = (
  "accent accentunder columnalign columnlines columnspacing depth display displaystyle fence height largeop " +
  "linebreak linethickness lspace mathbackground mathcolor mathsize mathvariant maxsize minsize movablelimits " +
  "notation rowalign rowlines rowspacing rspace scriptlevel separator stretchy symmetric voffset width xmlns"
).split(" ");

const CONFIG = {
  ALLOWED_TAGS: ["#text", ...HTML_TAGS, ...MATH_TAGS],
  ALLOWED_ATTR: ["href", "src", ...HTML_ATTRIBUTES, ...MATH_ATTRIBUTES],
  // DOMPurify holds every attribute that is not named here to the pattern for addresses.
  ADD_URI_SAFE_ATTR: [...HTML_ATTRIBUTES, ...MATH_ATTRIBUTES],
  ALLOW_ARIA_ATTR: false,
  ALLOW_DATA_ATTR: false,
  ALLOWED_URI_REGEXP: /^(?:https?:|mailto:|data:image\/(?:png|jpeg|gif|webp|avif|bmp);base64,|\/(?!\/))/i,
  RETURN_TRUSTED_TYPE: true,
} satisfies Config;

/** For TypeScript: it tells the kind of result from the call's own settings, which a set configuration overrules. */
const RESULT = { RETURN_TRUSTED_TYPE: true } as const;

// Once and for all: read at each call, the lists cost more than a short paragraph does.
DOMPurify.setConfig(CONFIG);

/** Make `html` safe to assign to innerHTML under `require-trusted-types-for 'script'`. */
export function sanitize(html: string) {
  return DOMPurify.sanitize(html, RESULT);
}

/** HTML that has passed DOMPurify: a TrustedHTML where the engine knows Trusted Types, else a string. */
export type SafeHtml = ReturnType<typeof sanitize>;

/** Set an element's or template's content. The cast is for TypeScript, whose DOM does not know Trusted Types. */
export function setContent(element: Element, html: SafeHtml): void {
  element.innerHTML = html as unknown as string;
}
