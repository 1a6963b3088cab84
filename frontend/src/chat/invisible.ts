/**
 * Characters that cannot be seen, made visible.
 *
 * What the user is asked to allow must be what happens: a zero-width letter in a path, or a mark that turns
 * the reading direction round, would make the question lie.
 */

/** Controls but tabs and line ends, format and default-ignorable characters, odd line ends, lone surrogates. */
const INVISIBLE = /(?![\t\n]|\r\n)[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}\u{2800}]/gu;
/** Joiners and selectors inside an emoji draw it; they are seen. */
const IN_EMOJI = /(?:\p{Extended_Pictographic}\p{Emoji_Modifier}?|\u{FE0F})$/u;

/** "a⟨U+202E⟩b": nothing in the result is hidden or turns what is around it. */
export function showInvisible(text: string): string {
  return text.replace(INVISIBLE, (found, at: number) =>
    isEmoji(text, found, at) ? found : `⟨${codeOf(found)}⟩`,
  );
}

/** The same JSON with invisible characters as escapes, so that they can be seen and edited. */
export function escapeInvisible(json: string): string {
  return json.replace(INVISIBLE, (found, at: number) => {
    if (isEmoji(json, found, at)) return found;
    const units = Array.from({ length: found.length }, (_, unit) => found.charCodeAt(unit));
    return units.map((unit) => `\\u${unit.toString(16).padStart(4, "0")}`).join("");
  });
}

function codeOf(character: string): string {
  return `U+${(character.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, "0")}`;
}

function isEmoji(text: string, found: string, at: number): boolean {
  if (found !== "\u{FE0F}" && found !== "\u{200D}") return false;
  // An emoji before it is at most a picture, a skin tone and a selector.
  if (!IN_EMOJI.test(text.slice(Math.max(0, at - 5), at))) return false;
  return found === "\u{FE0F}"
    ? text[at - 1] !== "\u{FE0F}"
    : /^\p{Extended_Pictographic}/u.test(text.slice(at + 1, at + 3));
}
