import { cleanup, fireEvent, render, screen, waitFor, within } from "@testing-library/preact";
import axe from "axe-core";
import { afterEach, expect, test } from "vitest";
import { commandsOver, type ToolDraft, type ToolRow, type TryOut } from "../api.gen";
import { createApp } from "../app/app";
import { type Answer, FakeServer, Refusal } from "../fakeServer";
import { ToolsSection } from "./ToolsSection";
import { firstSentence } from "./tools";

afterEach(cleanup);

function toolRow(changes: Partial<ToolRow> = {}): ToolRow {
  return {
    name: "add",
    kind: "user",
    description: "Add two numbers.\n\na: The first.",
    parameters: { type: "object", properties: { a: { type: "integer" } }, required: ["a"] },
    approval: "ask",
    effect: "read",
    is_enabled: true,
    category: "Sums",
    capabilities: [],
    source: "def add(a: int): return a",
    server: null,
    is_ready: true,
    ...changes,
  };
}

const rows = [
  toolRow(),
  toolRow({ name: "calculate", kind: "built_in", category: "", source: null, approval: "never" }),
  toolRow({ name: "fs_read", kind: "mcp", category: "", source: null, server: "Files", effect: "execute" }),
];

const drafted: ToolDraft = {
  function: "shout",
  name: "shout",
  description: "Shout a text.",
  parameters: { type: "object", properties: { text: { type: "string" } }, required: ["text"] },
  problems: [],
};

const tried: TryOut = {
  ok: true,
  result: '"HI"',
  printed: "seen\n",
  error: "",
  duration_ms: 0.62,
  line: null,
};

async function shown(answers: Record<string, Answer> = {}, editing = "") {
  const server = new FakeServer({
    "tools.list": () => rows,
    "tools.change": (changes) => ({ ...rows.find(({ name }) => name === changes.name), ...changes }),
    "tools.create": (tool) => toolRow(tool as Partial<ToolRow>),
    "tools.update": ({ tool }) => toolRow(tool as Partial<ToolRow>),
    "tools.delete": () => null,
    "tools.draft_parameters": () => drafted,
    "tools.try_out": () => tried,
    "tools.saved_draft": () => null,
    "tools.save_draft": () => null,
    ...answers,
  });
  const bridge = server.bridge({});
  const app = createApp(commandsOver(bridge.call, bridge.stream), { hash: "" });
  bridge.connect();
  server.hello();
  render(<ToolsSection app={app} />);
  await (editing ? screen.findByDisplayValue(editing) : screen.findByText("calculate"));
  return { app, server };
}

const listOf = (title: string) => within(screen.getByRole("region", { name: title }));

async function openEditor(answers: Record<string, Answer> = {}) {
  const opened = await shown(answers);
  fireEvent.click(screen.getByTestId("new-tool"));
  await waitFor(() => expect(field("Name").value).not.toBe(""));
  return opened;
}

const field = (name: string) => screen.getByRole<HTMLInputElement>("textbox", { name });

test("tools are listed by where they come from, with what they do in words", async () => {
  await shown();

  expect(listOf("Your tools").getByText("Add two numbers.")).toBeTruthy();
  expect(listOf("From “Files”").getByText("Runs code")).toBeTruthy();
  expect(listOf("Built in").queryByRole("button", { name: "Delete calculate" })).toBeNull();
});

test("a tool that was not accepted is marked, and leads to where it is", async () => {
  const unseen = toolRow({ name: "fs_read", kind: "mcp", source: null, server: "Files", is_ready: false });
  const { app } = await shown({ "tools.list": () => [...rows.slice(0, 2), unseen] });
  const marked = (await screen.findAllByTestId("tool-row")).filter((row) =>
    row.textContent?.includes("Not accepted"),
  );
  screen.getByText(/1 of these is not in use/);
  fireEvent.click(screen.getByRole("button", { name: "Look at it" }));

  expect(marked.map((row) => row.querySelector("code")?.textContent)).toEqual(["fs_read"]);
  expect(app.place.value).toEqual({ view: "settings", section: "mcp" });
});

test("when a tool asks, and whether it is on, is changed at once", async () => {
  const { server } = await shown();

  fireEvent.change(screen.getByRole("combobox", { name: "When to ask before calculate runs" }), {
    target: { value: "always_ask" },
  });
  fireEvent.click(screen.getByRole("switch", { name: "Use fs_read" }));

  await waitFor(() =>
    expect(server.params("tools.change")).toEqual([
      { name: "calculate", approval: "always_ask" },
      { name: "fs_read", is_enabled: false },
    ]),
  );
});

test("a change that Python refuses is said, and the list stays", async () => {
  const { app } = await shown({
    "tools.change": () => {
      throw new Refusal("not_found", "There is no tool named 'calculate'.");
    },
  });

  fireEvent.click(screen.getByRole("switch", { name: "Use calculate" }));

  await waitFor(() => expect(app.toasts.shown.value[0]?.message).toContain("no tool named"));
});

test("what was changed right before a tool was deleted comes back with Undo", async () => {
  const { app, server } = await shown();

  fireEvent.change(screen.getByRole("combobox", { name: "When to ask before add runs" }), {
    target: { value: "always_ask" },
  });
  fireEvent.click(screen.getByRole("button", { name: "Delete add" }));
  await waitFor(() => expect(app.toasts.shown.value[0]?.message).toContain("was deleted"));
  expect(screen.queryByText("add")).toBeNull();
  app.toasts.shown.value[0]?.action?.run();

  await screen.findByText("add");
  expect(server.params("tools.create")).toEqual([expect.objectContaining({ approval: "always_ask" })]);
});

test("a tool that was deleted comes back whole with Undo", async () => {
  const { app, server } = await shown();

  fireEvent.click(screen.getByRole("button", { name: "Delete add" }));
  await waitFor(() => expect(app.toasts.shown.value[0]?.message).toContain("was deleted"));
  expect(screen.queryByText("add")).toBeNull();
  app.toasts.shown.value[0]?.action?.run();

  await screen.findByText("add");
  const { kind: _kind, effect: _effect, server: _server, is_ready: _isReady, ...whole } = toolRow();
  expect(server.params("tools.create")).toEqual([whole]);
});

test("a new tool takes its name, description and parameters from the code", async () => {
  const { server } = await openEditor();

  expect(field("Name").value).toBe("shout");
  expect(field("Description").value).toBe("Shout a text.");
  fireEvent.click(screen.getByRole("checkbox", { name: /Fetch web pages/ }));
  fireEvent.click(screen.getByTestId("tool-save"));

  await screen.findByText("calculate");
  await waitFor(() => expect(document.activeElement).toBe(screen.getByTestId("new-tool")));
  expect(server.params("tools.create")).toMatchObject([
    { name: "shout", description: "Shout a text.", parameters: drafted.parameters, capabilities: ["web"] },
  ]);
});

test("what the user wrote themselves no longer follows the code", async () => {
  const { server } = await openEditor();

  fireEvent.input(field("Name"), { target: { value: "cry" } });
  fireEvent.input(field("Code"), { target: { value: "def shout(text: str): ..." } });
  await waitFor(() => expect(server.params("tools.draft_parameters").length).toBe(2));

  expect(field("Name").value).toBe("cry");
});

test("problems in the code are shown below it", async () => {
  await openEditor({
    "tools.draft_parameters": () => ({
      ...drafted,
      problems: ["Line 1: the sandbox has no module requests."],
    }),
  });

  expect(screen.getByText("Line 1: the sandbox has no module requests.")).toBeTruthy();
});

test("what is being written is kept, and there again after the page was lost", async () => {
  const { app, server } = await openEditor();
  fireEvent.input(field("Name"), { target: { value: "cry" } });
  await app.tools.saveDraft();
  const [kept] = server.params("tools.save_draft").slice(-1);
  expect(kept).toMatchObject({ tool: { replaces: null, name: "cry", own: ["name"] } });
  cleanup();

  await shown({ "tools.saved_draft": () => kept?.tool }, "cry");

  expect(field("Name").value).toBe("cry");
  fireEvent.click(screen.getByRole("button", { name: "Cancel" }));
  await screen.findByText("calculate");
});

test("the bench shows the call, the result, what was printed and the time", async () => {
  const { server } = await openEditor();

  fireEvent.input(field("text"), { target: { value: "hi" } });
  fireEvent.click(screen.getByTestId("tool-run"));
  const outcome = await screen.findByTestId("tool-outcome");

  expect(outcome.textContent).toContain('shout(text="hi")');
  expect(outcome.textContent).toContain('"HI"');
  expect(outcome.textContent).toContain("seen");
  expect(outcome.textContent).toContain("0.6 ms");
  expect(server.params("tools.try_out")).toMatchObject([{ arguments: { text: "hi" } }]);
});

test("an error on the bench says its line and leads there", async () => {
  await openEditor({
    "tools.try_out": () => ({ ...tried, ok: false, result: null, error: "ValueError: no", line: 2 }),
  });

  fireEvent.input(field("text"), { target: { value: "hi" } });
  fireEvent.click(screen.getByTestId("tool-run"));
  fireEvent.click(await screen.findByRole("button", { name: "Show line 2" }));

  const code = screen.getByRole<HTMLTextAreaElement>("textbox", { name: "Code" });
  expect(screen.getByTestId("tool-outcome").textContent).toContain("Line 2: ValueError: no");
  expect(document.activeElement).toBe(code);
  expect(code.value.slice(code.selectionStart, code.selectionEnd)).toBe(code.value.split("\n")[1]);
});

test("arguments can be written as JSON, and must be an object", async () => {
  const { server } = await openEditor();

  fireEvent.input(field("text"), { target: { value: "hi" } });
  fireEvent.click(screen.getByRole("button", { name: "As JSON" }));
  expect(JSON.parse(field("Arguments as JSON").value)).toEqual({ text: "hi" });
  fireEvent.input(field("Arguments as JSON"), { target: { value: "[1]" } });
  fireEvent.click(screen.getByTestId("tool-run"));

  await screen.findByText("The arguments are not a JSON object.");
  expect(server.params("tools.try_out")).toEqual([]);
});

test("an edit of a tool replaces it under its old name", async () => {
  const { server } = await shown();

  fireEvent.click(screen.getByRole("button", { name: "Edit add" }));
  fireEvent.input(field("Name"), { target: { value: "plus" } });
  fireEvent.click(screen.getByTestId("tool-save"));

  await screen.findByText("plus");
  expect(server.params("tools.update")).toMatchObject([
    { name: "add", tool: { name: "plus", approval: "ask" } },
  ]);
});

test("a name that is taken is said beside the button, and what was written stays", async () => {
  await openEditor({
    "tools.create": () => {
      throw new Refusal("conflict", "There is already a tool named 'shout'.", "Give this one another name.");
    },
  });

  fireEvent.click(screen.getByTestId("tool-save"));

  await screen.findByText("There is already a tool named 'shout'.");
  expect(field("Name").value).toBe("shout");
});

test("the list and the editor are accessible", async () => {
  await openEditor();
  const editor = await axe.run(document.body, { rules: { region: { enabled: false } } });
  expect(editor.violations.map(({ id, nodes }) => [id, nodes.map(({ html }) => html)])).toEqual([]);

  fireEvent.click(screen.getByRole("button", { name: "Cancel" }));
  await screen.findByText("calculate");
  const list = await axe.run(document.body, { rules: { region: { enabled: false } } });
  expect(list.violations.map(({ id, nodes }) => [id, nodes.map(({ html }) => html)])).toEqual([]);
});

test.each([
  ["Add two numbers.\n\na: The first.", "Add two numbers."],
  ["Work out e.g. 2 + 2. Use it often.", "Work out e.g. 2 + 2."],
  ["No full stop", "No full stop"],
  ["", ""],
])("of %j the list shows %j", (description, sentence) => {
  expect(firstSentence(description)).toBe(sentence);
});
