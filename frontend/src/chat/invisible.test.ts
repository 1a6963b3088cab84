import { expect, test } from "vitest";
import { escapeInvisible, showInvisible } from "./invisible";

test.each([
  ["a zero-width letter", "exam\u200bple.org", "exam⟨U+200B⟩ple.org"],
  ["a turned reading direction", "\u202egnp.exe", "⟨U+202E⟩gnp.exe"],
  ["an isolate", "a\u2066b\u2069", "a⟨U+2066⟩b⟨U+2069⟩"],
  ["a control", "a\u0000b\u001b[2J", "a⟨U+0000⟩b⟨U+001B⟩[2J"],
  ["a lone carriage return", "safe\rrm", "safe⟨U+000D⟩rm"],
  ["an odd line end", "a\u2028b", "a⟨U+2028⟩b"],
  ["a soft hyphen", "pass\u00adword", "pass⟨U+00AD⟩word"],
  ["a tag letter", "a\u{e0041}b", "a⟨U+E0041⟩b"],
  ["a filler", "a\u3164b", "a⟨U+3164⟩b"],
  ["a selector that selects nothing", "a\ufe0fb", "a⟨U+FE0F⟩b"],
  ["half a character", "a\ud800b", "a⟨U+D800⟩b"],
])("%s is shown", (_name, text, shown) => {
  expect(showInvisible(text)).toBe(shown);
});

test("what can be seen stays as it is", () => {
  const text = "Grüße, 世界!\tℵ\r\n👩🏽‍🚀 ❤️ ❤️‍🔥\u00a0–";

  expect(showInvisible(text)).toBe(text);
});

test("invisible characters can be edited, and the JSON says the same", () => {
  const json = JSON.stringify({ to: "ada@exam\u200bple.org", tag: "\u{e0041}" });

  const escaped = escapeInvisible(json);

  expect(escaped).toContain("exam\\u200bple.org");
  expect(JSON.parse(escaped)).toEqual(JSON.parse(json));
});
