import { Marked } from "marked";
import { beforeAll, describe, expect, it, vi } from "vitest";
import { dialect } from "./lexer";
import { mathExtensions, renderMath } from "./math";

/** The formulas in a text, as TeX. */
function formulasIn(text: string): unknown[] {
  const found: unknown[] = [];
  const keep = (token: { tex: unknown }) => {
    found.push(token.tex);
    return "";
  };
  new Marked(dialect, { extensions: mathExtensions(() => false, keep) }).parse(text);
  return found;
}

describe("a formula", () => {
  it.each([
    ["$E=mc^2$", "E=mc^2"],
    ["so \\(a^2\\), then", "a^2"],
    ["$a_1$ and *b* and $b_1$", "a_1", "b_1"],
    ["$$x$$", "x"],
    ["in $$x$$ line", "x"],
    ["\\[x\\]", "x"],
    ["where\n$$\nx\n- y\n$$\nholds", "\nx\n- y\n"],
    ["$2x$", "2x"],
    ["$3 \\times 4$", "3 \\times 4"],
    ["- a $n$", "n"],
    ["| $a$ |\n|---|\n| $b$ |", "a", "b"],
    ["cost $\\$5$", "\\$5"],
  ])("is read from %j", (text, ...formulas) => {
    expect(formulasIn(text)).toEqual(formulas);
  });

  it.each([
    "costs $5 and $6",
    "between $5 and 10$ a day",
    "US$5 and US$6",
    "$5-$10",
    "$ x $",
    "\\$x\\$",
    "`$x$`",
    "echo $HOME/$USER",
    "$100 or so, (or US$)",
    "```\n$x$\n```",
    "$$ \n\n x $$",
  ])("is not read from %j", (text) => {
    expect(formulasIn(text)).toEqual([]);
  });
});

describe("MathML", () => {
  beforeAll(async () => {
    await vi.waitUntil(() => renderMath("x", false) !== "waiting");
  });

  it("brings no second copy of the source as text", () => {
    const mathml = renderMath("\\sqrt{y}", true);

    expect(mathml).toContain("<msqrt>");
    expect(mathml).not.toMatch(/annotation|semantics|\\sqrt/);
  });

  it.each(["\\frac{a", "\\unknown{x}", "x".repeat(10_001), "{".repeat(9_000), "\\def\\x{\\x\\x}\\x"])(
    "is not made of a formula that cannot be read (case %#)",
    (tex) => {
      expect(renderMath(tex, false)).toBeNull();
    },
  );
});
