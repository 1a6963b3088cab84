import { signal } from "@preact/signals";
import { cleanup, fireEvent, render, waitFor } from "@testing-library/preact";
import { afterEach, describe, expect, it, vi } from "vitest";
import { Markdown } from "./Markdown";

const TEXT = `# Title

A paragraph with **bold** and [a link](https://example.org/a).

\`\`\`
code
\`\`\`

- one
- two

| a | b |
|---|---|
| 1 | 2 |

The end **is near`;

const ignore = () => {};

afterEach(() => {
  cleanup();
  vi.restoreAllMocks();
});

describe("a growing text", () => {
  it("appears as it comes and reads like the finished text in the end", async () => {
    const text = signal("");
    const streamed = render(<Markdown text={text} streaming={true} onOpenLink={ignore} />);
    for (let at = 0; at < TEXT.length; at += 9) text.value += TEXT.slice(at, at + 9);
    await waitFor(() => expect(streamed.container.querySelector("strong:last-of-type")).not.toBeNull());
    await waitFor(() => expect(streamed.container.textContent).toContain("is near"));

    expect(streamed.container.textContent).not.toContain("**");
    streamed.rerender(<Markdown text={text} streaming={false} onOpenLink={ignore} />);
    const stored = render(<Markdown text={TEXT} onOpenLink={ignore} />);

    expect(streamed.container.innerHTML).toBe(stored.container.innerHTML);
    expect(stored.container.textContent).toContain("The end **is near");
  });

  it("sealed blocks keep their html while streaming, and their very elements", async () => {
    const text = signal("# Title\n\nFirst paragraph.\n\nSecond");
    const { container } = render(<Markdown text={text} streaming={true} onOpenLink={ignore} />);
    const heading = container.querySelector("h1");
    const paragraph = container.querySelector("p");
    const html = paragraph?.outerHTML;
    text.value += " goes on\n\n- and";
    await waitFor(() => expect(container.textContent).toContain("goes on"));

    expect(container.querySelector("h1")).toBe(heading);
    expect(container.querySelector("p")).toBe(paragraph);
    expect(paragraph?.outerHTML).toBe(html);
  });

  it("keeps the nodes of the open block, so that a selection survives", async () => {
    const text = signal("- one\n- tw");
    const { container } = render(<Markdown text={text} streaming={true} onOpenLink={ignore} />);
    const first = container.querySelector("li");
    text.value += "o\n- three";
    await waitFor(() => expect(container.querySelectorAll("li")).toHaveLength(3));

    expect(container.querySelector("li")).toBe(first);
  });

  it("draws at most once a frame", async () => {
    const frames = vi.spyOn(globalThis, "requestAnimationFrame");
    const text = signal("a");
    const { container } = render(<Markdown text={text} streaming={true} onOpenLink={ignore} />);
    for (let left = 100; left > 0; left -= 1) text.value += "b";

    expect(frames).toHaveBeenCalledTimes(1);
    await waitFor(() => expect(container.textContent?.trim()).toBe(`a${"b".repeat(100)}`));
  });

  it("that is replaced by another is rendered anew", async () => {
    const text = signal("# One\n\ntext that stays at the end");
    const { container } = render(<Markdown text={text} streaming={true} onOpenLink={ignore} />);
    text.value = "# Two\n\ntext that stays at the end";
    await waitFor(() => expect(container.querySelector("h1")?.textContent).toBe("Two"));
  });

  it("may go on after it was finished", async () => {
    const view = render(<Markdown text="One **two" streaming={false} onOpenLink={ignore} />);
    view.rerender(<Markdown text="One **two** three" streaming={true} onOpenLink={ignore} />);

    expect(view.container.textContent?.trim()).toBe("One two three");
  });
});

describe("a long text", () => {
  const paragraphs = Array.from({ length: 400 }, (_, n) => `Paragraph ${n} with [the link][a].\n\n`);
  const long = `[a]: https://example.org/a\n\n${paragraphs.join("")}So it ends.`;
  // It takes half a second of a machine that has nothing else to do.
  const PATIENT = { timeout: 20_000 };
  const groups = (container: Element) => [...container.querySelectorAll(".md-group")];

  it("shows its end at once and the rest soon, the last first", { timeout: 30_000 }, async () => {
    const { container } = render(<Markdown text={long} onOpenLink={ignore} />);

    expect(container.textContent).toContain("Paragraph 399");
    expect(container.textContent).toContain("So it ends.");
    expect(container.textContent).not.toContain("Paragraph 0 ");
    const shown = groups(container).map((group) => group.childElementCount > 0);
    expect(shown.indexOf(true)).toBe(shown.length - 3);

    await waitFor(() => expect(container.textContent).toContain("Paragraph 0 "), PATIENT);
    const texts = paragraphs.map((paragraph) => paragraph.replace("[the link][a]", "the link").trim());
    expect([...container.querySelectorAll("p")].map((p) => p.textContent)).toEqual([...texts, "So it ends."]);
  });

  it("knows in its end the definitions from its beginning", () => {
    const { container } = render(<Markdown text={long} onOpenLink={ignore} />);

    expect(container.querySelector("a")?.getAttribute("href")).toBe("https://example.org/a");
  });

  it("keeps a space for what is still to come, and gives it back", { timeout: 30_000 }, async () => {
    const { container } = render(<Markdown text={long} onOpenLink={ignore} />);
    const [first] = groups(container) as HTMLElement[];

    expect(Number.parseFloat(first?.style.height ?? "")).toBeGreaterThan(8);
    await waitFor(() => expect(first?.style.height).toBe(""), PATIENT);
    expect(first?.textContent).toContain("Paragraph 0 ");
  });

  it("that leaves the page before it is complete takes its work along", async () => {
    const problems = vi.spyOn(console, "error");
    const view = render(<Markdown text={long} onOpenLink={ignore} />);
    view.unmount();
    await new Promise((frame) => requestAnimationFrame(frame));

    expect(view.container.textContent).toBe("");
    expect(problems).not.toHaveBeenCalled();
  });

  it("that came piece by piece is there in full, each block in the element it was sealed in", async () => {
    const text = signal("");
    const { container } = render(<Markdown text={text} streaming={true} onOpenLink={ignore} />);
    let first: Element | null = null;
    for (let at = 0; at < 40; at += 1) {
      text.value += paragraphs.slice(at * 5, at * 5 + 5).join("");
      await waitFor(() => expect(container.textContent).toContain(`Paragraph ${at * 5 + 4} `));
      first ??= container.querySelector("p");
    }

    expect(container.querySelector("p")).toBe(first);
    expect(container.querySelectorAll("p")).toHaveLength(200);
    expect(groups(container).every((group) => group.childElementCount > 0)).toBe(true);
  });

  it("of moderate length is there at once", () => {
    const { container } = render(<Markdown text={paragraphs.slice(0, 60).join("")} onOpenLink={ignore} />);

    expect(container.querySelectorAll("p")).toHaveLength(60);
  });
});

describe("a block that is rendered in pieces", () => {
  const many = (line: (n: number) => string) => Array.from({ length: 400 }, (_, n) => line(n)).join("");
  const PATIENT = { timeout: 20_000 };
  const texts = (container: Element, selector: string) =>
    [...container.querySelectorAll(selector)].map(({ textContent }) => textContent?.trim());

  it.each([
    ["at once", false],
    ["while it grows", true],
  ])("is one numbered list in the end, shown %s", { timeout: 30_000 }, async (_, isGrowing) => {
    const text = signal(isGrowing ? "" : many((n) => `${n + 1}. point ${n} of them\n`));
    const { container } = render(<Markdown text={text} streaming={isGrowing} onOpenLink={ignore} />);
    for (let n = 0; isGrowing && n < 400; n += 20) {
      text.value += Array.from({ length: 20 }, (_, at) => `${n + at + 1}. point ${n + at} of them\n`).join(
        "",
      );
      await waitFor(() => expect(container.textContent).toContain(`point ${n + 19} of`), PATIENT);
    }

    await waitFor(() => expect(container.querySelectorAll("li")).toHaveLength(400), PATIENT);
    expect(container.querySelectorAll("ol")).toHaveLength(1);
    expect(texts(container, "li")).toEqual(Array.from({ length: 400 }, (_, n) => `point ${n} of them`));
  });

  it("is one table with one header in the end", { timeout: 30_000 }, async () => {
    const text = `| Name | Value |\n|--|--|\n${many((n) => `| row ${n} | ${n} |\n`)}`;
    const { container } = render(<Markdown text={text} onOpenLink={ignore} />);

    await waitFor(() => expect(container.querySelectorAll("tbody tr")).toHaveLength(400), PATIENT);
    expect(container.querySelectorAll("table")).toHaveLength(1);
    expect(texts(container, "th")).toEqual(["Name", "Value"]);
    expect(texts(container, "tbody td:first-child")).toEqual(
      Array.from({ length: 400 }, (_, n) => `row ${n}`),
    );
  });

  it("follows the last word where a list turns out to be something else", async () => {
    const text = signal(`| Name |\n|--|\n${many((n) => `| row ${n} of them |\n`)}`);
    const { container } = render(<Markdown text={text} streaming={true} onOpenLink={ignore} />);
    await waitFor(() => expect(container.querySelectorAll("tbody tr")).toHaveLength(400), PATIENT);
    text.value += "that was all";

    await waitFor(() => expect(texts(container, "tbody tr").at(-1)).toBe("that was all"), PATIENT);
    expect(container.querySelectorAll("tbody tr")).toHaveLength(401);
    expect(container.querySelectorAll("th")).toHaveLength(1);
  });

  it("is code that is there at once, gets its colours line by line, and is copied whole", async () => {
    const code = many((n) => `def f_${n}():\n    """Say\n    so."""\n`).trimEnd();
    const { container, getByRole } = render(
      <Markdown text={`\`\`\`python\n${code}\n\`\`\``} onOpenLink={ignore} />,
    );
    const lines = () => texts(container, ".md-lines").join("\n");
    const flat = (text: string) => text.replace(/\s+/g, " ");
    expect(flat(lines())).toBe(flat(code));

    await waitFor(() => expect(container.querySelectorAll(".hljs-keyword")).toHaveLength(400), PATIENT);
    expect(flat(lines())).toBe(flat(code));

    const copied: string[] = [];
    vi.stubGlobal("navigator", { clipboard: { writeText: async (text: string) => void copied.push(text) } });
    fireEvent.click(getByRole("button", { name: "Copy python code" }));
    await waitFor(() => expect(copied).toEqual([code]));
    vi.unstubAllGlobals();
  });
});

describe("a link", () => {
  it("is handed over when clicked, and never followed", () => {
    const opened: string[] = [];
    const { getByText } = render(
      <Markdown text={"[**go**](https://example.org/a)"} onOpenLink={(url) => opened.push(url)} />,
    );
    const followed = fireEvent.click(getByText("go"));

    expect(opened).toEqual(["https://example.org/a"]);
    expect(followed).toBe(false);
  });

  it("clicked with the middle button is handed over too", () => {
    const opened: string[] = [];
    const { getByText } = render(
      <Markdown text="[go](mailto:a@example.org)" onOpenLink={(url) => opened.push(url)} />,
    );
    const followed = fireEvent(
      getByText("go"),
      new MouseEvent("auxclick", { button: 1, bubbles: true, cancelable: true }),
    );

    expect(opened).toEqual(["mailto:a@example.org"]);
    expect(followed).toBe(false);
  });
});

describe("the copy button", () => {
  function copyCode(writeText: (text: string) => Promise<void>, execCommand: () => boolean) {
    vi.stubGlobal("navigator", { clipboard: { writeText } });
    document.execCommand = execCommand;
    const { getByRole } = render(<Markdown text={"```sh\necho <hi>\n\nls\n```"} onOpenLink={ignore} />);
    const button = getByRole("button", { name: "Copy sh code" });
    fireEvent.click(button);
    return button;
  }

  afterEach(() => vi.unstubAllGlobals());

  it("copies the code as it was written and says so", async () => {
    const copied: string[] = [];
    const button = copyCode(
      async (text) => void copied.push(text),
      () => false,
    );
    await waitFor(() => expect(button.textContent).toBe("Copied"));

    expect(copied).toEqual(["echo <hi>\n\nls"]);
    expect(button.getAttribute("aria-label")).toBe("Copied");
  });

  it("falls back to the old way where the clipboard is denied", async () => {
    let copied = "";
    const button = copyCode(
      () => Promise.reject(new DOMException("denied", "NotAllowedError")),
      () => {
        copied = document.querySelector("textarea")?.value ?? "";
        return true;
      },
    );
    await waitFor(() => expect(button.textContent).toBe("Copied"));

    expect(copied).toBe("echo <hi>\n\nls");
    expect(document.querySelector("textarea")).toBeNull();
  });

  it("says what to do where neither way works", async () => {
    const button = copyCode(
      () => Promise.reject(new DOMException("denied", "NotAllowedError")),
      () => false,
    );
    await waitFor(() => expect(button.textContent).toContain("Ctrl+C"));
  });
});
