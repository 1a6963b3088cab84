import { cleanup, fireEvent, render, screen, waitFor, within } from "@testing-library/preact";
import axe from "axe-core";
import { afterEach, expect, test } from "vitest";
import { type AgentRow, commandsOver } from "../api.gen";
import { AppView } from "../app/AppView";
import { createApp } from "../app/app";
import { agentRow, appState } from "../fakeRows";
import { type Answer, FakeServer, Refusal } from "../fakeServer";

afterEach(cleanup);

const critic = agentRow("critic", "The critic", { id: 2, model: "openai/gpt-5", icon: "🧐" });

/** Shows a section of the settings over a fake server with two agents. */
async function shown(section: "agents" | "limits", answers: Record<string, Answer> = {}) {
  const rows: AgentRow[] = [agentRow("assistant", "Assistant"), critic];
  const server = new FakeServer({
    "app.state": () => appState(),
    "conversations.pinned": () => [],
    "sorting.overview": () => ({ folders: [], tags: [] }),
    "conversations.page": () => ({ conversations: [], next_cursor: null }),
    "models.available": () => [],
    "agents.list": () => rows,
    "agents.spent": () => ({
      day: { cost_nano_usd: 420_000_000, tokens: 12_000, unknown_calls: 2 },
      month: { cost_nano_usd: 0, tokens: 0, unknown_calls: 0 },
    }),
    ...answers,
  });
  const bridge = server.bridge({
    onEvents: (events, n) => {
      for (const event of events) app.apply(event, n);
    },
  });
  const app = createApp(commandsOver(bridge.call, bridge.stream), { hash: `#/settings/${section}` });
  bridge.connect();
  server.hello();
  await app.start();
  render(<AppView app={app} isConnected={bridge.isConnected} />);
  return { app, server, rows };
}

const problems = async () => (await axe.run(document.body)).violations.map(({ id }) => id);

test("agents are listed; the default one can neither be deleted nor switched off", async () => {
  await shown("agents");
  const [first, second] = await screen.findAllByRole("listitem");
  const inFirst = within(first as HTMLElement);
  const inSecond = within(second as HTMLElement);

  expect(inFirst.queryByRole("switch")).toBeNull();
  expect(inFirst.queryByRole("button", { name: "Delete Assistant" })).toBeNull();
  expect(inSecond.getByRole("switch").getAttribute("aria-checked")).toBe("true");
  expect(inSecond.getByText("critic")).toBeTruthy();
  expect(await problems()).toEqual([]);
});

test("an agent is switched off, copied, and deleted with a way back", async () => {
  const { server } = await shown("agents", {
    "agents.change": () => ({ ...critic, is_active: false }),
    "agents.duplicate": () => critic,
    "agents.delete": () => null,
    "agents.restore": () => critic,
  });
  fireEvent.click(await screen.findByRole("switch", { name: "The critic can be chosen" }));
  fireEvent.click(screen.getByRole("button", { name: "Duplicate The critic" }));
  fireEvent.click(screen.getByRole("button", { name: "Delete The critic" }));
  fireEvent.click(await screen.findByRole("button", { name: "Undo" }));

  await waitFor(() => expect(server.params("agents.restore")).toEqual([{ id: 2 }]));
  expect(server.params("agents.change")).toEqual([{ id: 2, is_active: false }]);
  expect(server.params("agents.duplicate")).toEqual([{ id: 2 }]);
  expect(server.params("agents.delete")).toEqual([{ id: 2 }]);
});

test("what an agent may use without asking is taken back in its form", async () => {
  let tools = ["calculate", "write_file"];
  const { server } = await shown("agents", {
    "agents.allowed_tools": () => tools,
    "agents.disallow_tool": ({ tool }) => {
      tools = tools.filter((name) => name !== tool);
    },
  });
  fireEvent.click(await screen.findByRole("button", { name: "Edit The critic" }));
  fireEvent.click(await screen.findByRole("button", { name: "Ask again before write_file" }));

  await waitFor(() =>
    expect(screen.queryByRole("button", { name: "Ask again before write_file" })).toBeNull(),
  );
  expect(screen.getByRole("button", { name: "Ask again before calculate" })).toBeTruthy();
  expect(server.params("agents.disallow_tool")).toEqual([{ id: 2, tool: "write_file" }]);
  expect(await problems()).toEqual([]);
});

test("a change elsewhere is shown", async () => {
  const { server, rows } = await shown("agents");
  rows.push(agentRow("writer", "Writer", { id: 3 }));
  server.publish({ type: "agents_changed" });

  expect(await screen.findByText("Writer")).toBeTruthy();
});

test("a new agent is named after its label and made of what is in the form", async () => {
  const { server } = await shown("agents", { "agents.create": () => critic });
  fireEvent.click(await screen.findByRole("button", { name: "New agent" }));
  fireEvent.input(screen.getByLabelText("Label"), { target: { value: "The Writer" } });
  fireEvent.input(screen.getByLabelText("Instructions"), { target: { value: "Write." } });
  fireEvent.click(screen.getByLabelText("Only chosen ones"));
  fireEvent.click(screen.getByRole("checkbox", { name: /The critic/ }));
  fireEvent.input(within(screen.getByRole("group", { name: "A day" })).getByLabelText("Money"), {
    target: { value: "0.25" },
  });
  expect(await problems()).toEqual([]);
  fireEvent.click(screen.getByRole("button", { name: "Add agent" }));

  await waitFor(() =>
    expect(server.params("agents.create")).toMatchObject([
      {
        name: "the-writer",
        label: "The Writer",
        instructions: "Write.",
        tools: [],
        subagents: ["critic"],
        limits: { day: { cost_nano_usd: 250_000_000, tokens: null } },
      },
    ]),
  );
  expect(await screen.findByRole("button", { name: "New agent" })).toBeTruthy();
});

test("what cannot be read is said at its field, and nothing is sent", async () => {
  const { server } = await shown("agents");
  fireEvent.click(await screen.findByRole("button", { name: "Edit The critic" }));
  fireEvent.input(screen.getByLabelText("Temperature"), { target: { value: "hot" } });
  fireEvent.click(screen.getByRole("button", { name: "Save" }));

  expect(screen.getByText("A number from 0 to 2, or nothing.")).toBeTruthy();
  expect(screen.getByLabelText("Temperature").getAttribute("aria-invalid")).toBe("true");
  expect(server.params("agents.change")).toEqual([]);
});

test("instructions are shown as the model gets them", async () => {
  await shown("agents", {
    "agents.preview_instructions": () => ({ text: "For Ada {{rank}}", unknown: ["rank"] }),
  });
  fireEvent.click(await screen.findByRole("button", { name: "Edit The critic" }));
  fireEvent.click(screen.getByRole("button", { name: "Show what the model gets" }));

  expect(await screen.findByText("For Ada {{rank}}")).toBeTruthy();
  expect(screen.getByText(/stands for nothing/)).toBeTruthy();
});

test("an import whose name is taken gets the name that the user gives it", async () => {
  const { server } = await shown("agents", {
    "agents.open_file": () => ({ found: { json: "{}", name: "critic", free_name: "critic-2" } }),
    "agents.import_": ({ name }) => {
      if (name === "assistant") throw new Refusal("conflict", "There is already an agent named 'assistant'.");
      return { agent: critic, notes: ["The tool mail is not here."] };
    },
  });
  fireEvent.click(await screen.findByRole("button", { name: "Import from a file" }));
  const dialog = within(await screen.findByRole("dialog", { name: "This name is taken" }));
  const field = dialog.getByLabelText("Name of the imported agent") as HTMLInputElement;
  expect(field.value).toBe("critic-2");
  expect(await problems()).toEqual([]);
  const press = (name: string) => fireEvent.click(dialog.getByRole("button", { name }));

  fireEvent.input(field, { target: { value: "The Critic" } });
  press("Import");
  expect(dialog.getByText(/a letter first/)).toBeTruthy();
  fireEvent.input(field, { target: { value: "assistant" } });
  press("Import");
  expect(await dialog.findByText("There is already an agent named 'assistant'.")).toBeTruthy();
  fireEvent.input(field, { target: { value: "second-critic" } });
  press("Import");

  expect(await screen.findByText("The tool mail is not here.")).toBeTruthy();
  expect(screen.queryByRole("dialog")).toBeNull();
  expect(server.params("agents.import_")).toEqual([
    { json: "{}", name: "assistant", on_conflict: "refuse" },
    { json: "{}", name: "second-critic", on_conflict: "refuse" },
  ]);
});

test("an import whose name is taken can replace the agent here, or be left", async () => {
  const { server } = await shown("agents", {
    "agents.open_file": () => ({ found: { json: "{}", name: "critic", free_name: "critic-2" } }),
    "agents.import_": () => ({ agent: critic, notes: [] }),
  });
  fireEvent.click(await screen.findByRole("button", { name: "Import from a file" }));
  fireEvent.click(await screen.findByRole("button", { name: "Cancel" }));
  expect(screen.queryByRole("dialog")).toBeNull();
  fireEvent.click(screen.getByRole("button", { name: "Import from a file" }));
  fireEvent.click(await screen.findByRole("button", { name: "Replace critic" }));

  expect(await screen.findByText("“The critic” was imported.")).toBeTruthy();
  expect(server.params("agents.import_")).toEqual([{ json: "{}", on_conflict: "replace" }]);
});

test("an import whose name is free is made at once", async () => {
  const { server } = await shown("agents", {
    "agents.open_file": () => ({ found: { json: "{}", name: "writer", free_name: "writer" } }),
    "agents.import_": () => ({ agent: agentRow("writer", "Writer", { id: 3 }), notes: [] }),
  });
  fireEvent.click(await screen.findByRole("button", { name: "Import from a file" }));

  expect(await screen.findByText("“Writer” was imported.")).toBeTruthy();
  expect(server.params("agents.import_")).toEqual([{ json: "{}" }]);
});

test("limits are saved when a field is left, and what was spent is told", async () => {
  const { server } = await shown("limits", { "settings.change": () => appState().settings });
  const day = within(await screen.findByRole("group", { name: "A day" }));
  expect(await day.findByText(/\$0\.42, 12,000 tokens/)).toBeTruthy();
  expect(day.getByText(/2 calls whose cost is not known/)).toBeTruthy();
  const money = day.getByLabelText("Money");
  fireEvent.input(money, { target: { value: "lots" } });
  fireEvent.change(money);
  expect(money.getAttribute("aria-invalid")).toBe("true");
  fireEvent.input(money, { target: { value: "5" } });
  fireEvent.change(money);

  await waitFor(() =>
    expect(server.params("settings.change")).toMatchObject([
      { limits: { day: { cost_nano_usd: 5_000_000_000, tokens: null } } },
    ]),
  );
  expect(await problems()).toEqual([]);
});
