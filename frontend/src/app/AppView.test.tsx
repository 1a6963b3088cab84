import { cleanup, fireEvent, render, screen, waitFor, within } from "@testing-library/preact";
import axe from "axe-core";
import { afterEach, expect, test, vi } from "vitest";
import { type AppEvent, commandsOver, type KeyList, type ProviderModels } from "../api.gen";
import {
  agentRow,
  appState,
  conversationRow,
  question,
  reply,
  settings,
  startedRun,
  textAppended,
} from "../fakeRows";
import { type Answer, FakeServer, Refusal } from "../fakeServer";
import { AppView } from "./AppView";
import { createApp } from "./app";

afterEach(cleanup);

const keyList: KeyList = {
  keys: [
    {
      provider: "openai",
      label: "OpenAI",
      last_four: "x7Qp",
      source: "keychain",
      last_used_ms: null,
      address: null,
    },
  ],
  keychain: { state: "ready", backend: "Secret Service", hint: "" },
};

const providers: ProviderModels[] = [
  {
    provider: "openai",
    label: "OpenAI",
    models: [
      { id: "openai/gpt-5", label: "GPT-5", provider: "openai", context_tokens: 400_000, created_s: null },
      {
        id: "openai/gpt-5-mini",
        label: "GPT-5 mini",
        provider: "openai",
        context_tokens: null,
        created_s: null,
      },
    ],
    source: "live",
    needs_key: false,
    problem: "",
  },
  {
    provider: "anthropic",
    label: "Anthropic",
    models: [],
    source: "built_in",
    needs_key: true,
    problem: "",
  },
];

/** Shows the whole page over a fake server with two conversations; returns what a test needs. */
async function shown(answers: Record<string, Answer> = {}, hash = "") {
  const server = new FakeServer({
    "agents.list": () => [
      agentRow("assistant", "Assistant"),
      agentRow("researcher", "Researcher", { id: 2, icon: "🔎" }),
      agentRow("retired", "Retired", { id: 3, is_active: false }),
    ],
    "app.state": () => appState(),
    "attachments.draft": () => [],
    "conversations.pinned": () => [],
    "sorting.overview": () => ({ folders: [], tags: [] }),
    "conversations.page": () => ({
      conversations: [
        conversationRow({ id: 1, title: "Plans" }),
        conversationRow({ id: 2, title: "Letters" }),
      ],
      next_cursor: null,
    }),
    "conversations.get": ({ id }) => conversationRow({ id: Number(id) }),
    "conversations.save_draft": () => null,
    "messages.page": () => ({
      messages: [question(1, "Hi"), reply(2, "Hello **Ada**")],
      has_more: false,
      last_event: 0,
    }),
    "models.available": () => providers,
    "models.find_servers": () => [],
    "keys.overview": () => keyList,
    "device.status": () => ({
      can_run: true,
      reason: "",
      files: [],
      download: { state: "none", received_bytes: 0, total_bytes: 98_000_000, message: "" },
      process: "stopped",
    }),
    "settings.change": (changes) => ({ ...settings, ...changes }),
    ...answers,
  });
  const bridge = server.bridge({
    onEvents: (events, n) => {
      for (const event of events) app.apply(event, n);
    },
    onReset: () => void app.reset(),
  });
  const app = createApp(commandsOver(bridge.call, bridge.stream), { hash });
  const view = render(<AppView app={app} isConnected={bridge.isConnected} />);
  bridge.connect();
  server.hello();
  await app.start();
  return { server, app, bridge, view };
}

const input = () => screen.getByTestId<HTMLTextAreaElement>("chat-input");
const type = (text: string) => fireEvent.input(input(), { target: { value: text } });
const enter = (more: Partial<KeyboardEventInit> = {}) =>
  fireEvent.keyDown(input(), { key: "Enter", ...more });

async function violations(): Promise<string[]> {
  // Colours need a real engine; they were checked by hand against the tokens.
  const found = await axe.run(document.body, { rules: { "color-contrast": { enabled: false } } });
  return found.violations.map(({ id, nodes }) => `${id}: ${nodes.map((node) => node.html).join(" ")}`);
}

test("a question is sent with Enter, answered as it streams, and can be stopped", async () => {
  const { server } = await shown();
  server.answers["runs.start"] = ({ text }) =>
    startedRun(
      question(11, String(text), { conversation_id: 7, parent_id: null }),
      reply(12, "", { conversation_id: 7, parent_id: 11, status: "streaming" }),
    );
  server.answers["runs.stop"] = () => null;

  type("What is WAL?");
  enter();
  await screen.findByTestId("chat-stop");
  server.publish(textAppended(12, 0, "A write-ahead ", { conversation_id: 7 }));
  server.publish(textAppended(12, 14, "log.", { conversation_id: 7 }));
  await waitFor(() =>
    expect(screen.getByTestId("chat-response").textContent).toContain("A write-ahead log."),
  );
  const draft = input().value;
  fireEvent.keyDown(window, { key: "Escape" });
  await waitFor(() => expect(server.params("runs.stop")).toEqual([{ message_id: 12 }]));
  const row = reply(12, "A write-ahead log.", { conversation_id: 7, parent_id: 11, status: "stopped" });
  server.publish({ type: "message_changed", message: row });

  await screen.findByTestId("chat-send");
  const messages = screen.getAllByTestId("message");
  expect(draft).toBe("");
  expect(messages.map(({ dataset }) => [dataset.role, dataset.status])).toEqual([
    ["user", "complete"],
    ["assistant", "stopped"],
  ]);
  expect(screen.getByRole("button", { name: "Continue" })).toBeTruthy();
});

test("what was typed stays when it could not be sent", async () => {
  await shown({
    "runs.start": () => {
      throw new Refusal("no_model", "There is no model to answer with.", "Choose one.");
    },
  });

  type("Do not lose this");
  enter();

  await screen.findByText("There is no model to answer with.");
  expect(input().value).toBe("Do not lose this");
});

test("Enter that ends a composition, and Shift+Enter, do not send", async () => {
  const { server } = await shown();

  type("にほん");
  enter({ isComposing: true });
  enter({ keyCode: 229 });
  enter({ shiftKey: true });

  expect(server.params("runs.start")).toEqual([]);
});

test("a question that is stored late does not move the user from where they went meanwhile", async () => {
  let answer: (started: unknown) => void = () => {};
  const { app } = await shown({ "runs.start": () => new Promise((resolve) => (answer = resolve)) });
  type("slow");
  enter();
  fireEvent.click(screen.getByText("Letters"));
  await screen.findByTestId("chat-response");

  answer(
    startedRun(
      question(11, "slow", { conversation_id: 7, parent_id: null }),
      reply(12, "", { conversation_id: 7, parent_id: 11, status: "streaming" }),
    ),
  );

  await waitFor(() => expect(screen.getAllByTestId("conversation-item")).toHaveLength(3));
  expect(app.place.value).toEqual({ view: "chat", conversationId: 2 });
  expect(app.conversation.value.row.value?.id).toBe(2);
});

test("a draft is saved, and is there again in the conversation it was typed in", async () => {
  const { server } = await shown({
    "conversations.page": () => ({
      conversations: [conversationRow({ id: 1, draft: "from last time" })],
      next_cursor: null,
    }),
  });

  type("a new idea");
  fireEvent.blur(input());
  await waitFor(() =>
    expect(server.params("conversations.save_draft")).toContainEqual({ id: null, text: "a new idea" }),
  );
  fireEvent.click(screen.getByText("Plans"));
  await waitFor(() => expect(input().value).toBe("from last time"));
  fireEvent.click(screen.getByTestId("new-chat"));

  await waitFor(() => expect(input().value).toBe("a new idea"));
});

test("a conversation opens with its messages, and is marked in the list", async () => {
  await shown();

  fireEvent.click(screen.getByText("Letters"));

  await waitFor(() => expect(screen.getByTestId("chat-response").textContent).toContain("Hello Ada"));
  const marked = screen
    .getAllByTestId("conversation-item")
    .filter((item) => item.querySelector("[aria-current]"));
  expect(marked.map((item) => item.textContent)).toEqual(["Letters"]);
});

test("the place is found again after a reload", async () => {
  const { app } = await shown({}, "#/chat/2");

  await screen.findByTestId("chat-response");
  expect(app.conversation.value.row.value?.id).toBe(2);
});

test("a deleted conversation can be brought back", async () => {
  const { server } = await shown();
  server.answers["conversations.delete"] = ({ ids }) => {
    const [id] = ids as number[];
    server.publish({ type: "conversation_deleted", conversation_id: Number(id) });
    return null;
  };
  server.answers["conversations.restore"] = () => [conversationRow({ id: 1 })];
  const link = screen.getByText("Plans").closest("button");

  fireEvent.keyDown(link as HTMLElement, { key: "Delete" });
  await waitFor(() => expect(screen.queryByText("Plans")).toBeNull());
  fireEvent.click(await screen.findByText("Undo"));

  await waitFor(() => expect(server.params("conversations.restore")).toEqual([{ ids: [1] }]));
});

test.each([
  ["deleted for good", "1", false],
  ["still there while another one is deleted for good", "2", true],
  ["gone with the whole trash", "all", false],
])("what was put into the trash and is %s: whether Undo is offered", async (_, gone, isOffered) => {
  const { app, server } = await shown();
  server.answers["conversations.delete"] = () => null;
  server.answers["conversations.purge"] = () => null;
  server.answers["conversations.empty_trash"] = () => 1;
  await app.remove(conversationRow({ id: 1 }));
  await screen.findByText("Undo");

  if (gone === "all") await app.emptyTrash();
  else await app.removeForGood([conversationRow({ id: Number(gone) })]);

  await waitFor(() => expect(screen.queryByText("Undo") !== null).toBe(isOffered));
});

test("a conversation is renamed in place with F2", async () => {
  const { server } = await shown();
  server.answers["conversations.rename"] = ({ id, title }) => {
    const conversation = conversationRow({ id: Number(id), title: String(title) });
    server.publish({ type: "conversation_changed", conversation });
    return conversation;
  };
  const link = screen.getByText("Plans").closest("button");

  fireEvent.keyDown(link as HTMLElement, { key: "F2" });
  const field = await screen.findByLabelText<HTMLInputElement>("Title");
  field.value = "Summer plans";
  fireEvent.keyDown(field, { key: "Enter" });

  await screen.findByText("Summer plans");
  expect(server.params("conversations.rename")).toEqual([{ id: 1, title: "Summer plans" }]);
});

test("a message that cannot be shown does not hide the others", async () => {
  vi.spyOn(console, "error").mockImplementation(() => {});
  const broken = reply(4, "Broken", { versions: null as unknown as number[] });
  await shown(
    {
      "messages.page": () => ({
        messages: [question(1, "Hi"), reply(2, "Fine"), question(3, "And?"), broken],
        has_more: false,
        last_event: 0,
      }),
    },
    "#/chat/1",
  );

  await screen.findByTestId("error-fallback");
  expect((await screen.findByTestId("chat-response")).textContent).toContain("Fine");
  expect(input()).toBeTruthy();
});

test("a failed answer says why, what to do, and can be asked again", async () => {
  const error = {
    code: "bad_key",
    message: "The key was refused.",
    hint: "Check it.",
    retryable: false,
    request_id: "a1b2c3d4e5f6",
  };
  const { server } = await shown(
    {
      "messages.page": () => ({
        messages: [question(1, "Hi"), reply(2, "", { status: "failed", error })],
        has_more: false,
        last_event: 0,
      }),
      "runs.retry": () =>
        startedRun(null, reply(3, "", { parent_id: 1, status: "streaming", versions: [2, 3] })),
    },
    "#/chat/1",
  );

  const message = within((await screen.findAllByTestId("message"))[1] as HTMLElement);
  const hint = message.getByText("Check it.");
  const keys = message.getByText("Open keys");
  fireEvent.click(message.getByTestId("error-retry"));

  await screen.findByTestId("chat-stop");
  expect([hint, keys].every(Boolean)).toBe(true);
  expect(server.params("runs.retry")).toEqual([{ message_id: 2, model: null }]);
});

test("a key is stored, tried at once, and does not stay in the page", async () => {
  const { server, view } = await shown({
    "keys.save": () => keyList,
    "keys.test": () => ({ works: true, message: "The key works.", hint: "" }),
  });

  fireEvent.click(screen.getByTestId("settings-button"));
  const field = await screen.findByTestId<HTMLInputElement>("key-input-openai");
  fireEvent.input(field, { target: { value: "  sk-secret-x7Qp\n" } });
  fireEvent.click(screen.getByTestId("key-save-openai"));

  await screen.findByText("The key works.");
  expect(server.params("keys.save")).toEqual([{ provider: "openai", secret: "sk-secret-x7Qp" }]);
  expect(field.type).toBe("password");
  expect(field.value).toBe("");
  expect(view.container.innerHTML).not.toContain("sk-secret");
});

test("without a keychain, keys can be kept in a file with a passphrase of eight characters or more", async () => {
  const missing = { state: "missing", backend: "", hint: "No system keychain was found." } as const;
  const { server } = await shown(
    {
      "keys.overview": () => ({ keys: [], keychain: missing }),
      "keys.use_file": () => ({ keys: [], keychain: { state: "file_ready", backend: "", hint: "" } }),
    },
    "#/settings/keys",
  );

  const field = await screen.findByLabelText("New passphrase");
  const button = screen.getByText<HTMLButtonElement>("Use an encrypted file");
  fireEvent.input(field, { target: { value: "short" } });
  await waitFor(() => expect(button.disabled).toBe(true));
  fireEvent.input(field, { target: { value: "long enough" } });
  await waitFor(() => expect(button.disabled).toBe(false));
  fireEvent.click(button);

  await screen.findByText("Keys are kept in a file encrypted with your passphrase.");
  expect(server.params("keys.use_file")).toEqual([{ passphrase: "long enough" }]);
});

test("the first run ends in a ready chat, whichever way is taken", async () => {
  let needsStart = true;
  const { server } = await shown({
    "app.state": () =>
      appState({ needs_start: needsStart, default_model: needsStart ? null : "local/qwen3" }),
    "models.find_servers": () => [
      { kind: "ollama", label: "Ollama", base_url: "http://127.0.0.1:11434/v1", model_names: ["qwen3"] },
    ],
    "settings.change": (changes) => {
      needsStart = false;
      return { ...settings, ...changes };
    },
  });

  fireEvent.click(await screen.findByText("Use a server on this machine"));
  fireEvent.click(await screen.findByText("Use"));
  fireEvent.click(await screen.findByText("Start chatting"));

  await screen.findByTestId("chat-input");
  expect(server.params("settings.change")).toEqual([
    {
      servers: [{ id: "local", label: "Ollama", base_url: "http://127.0.0.1:11434/v1", is_free: false }],
      default_model: "local/qwen3",
      has_chosen_start: true,
    },
  ]);
});

test("the user can say that a server's answers cost nothing", async () => {
  const basement = { id: "local", label: "Basement", base_url: "http://127.0.0.1:8080/v1", is_free: false };
  const withServer = appState({ settings: { ...settings, servers: [basement] } });
  const { server } = await shown({ "app.state": () => withServer }, "#/settings/servers");

  fireEvent.click(await screen.findByRole("button", { name: "Edit Basement" }));
  fireEvent.click(screen.getByRole("checkbox", { name: /Its answers cost nothing/ }));
  expect((await axe.run(document.body)).violations.map(({ id }) => id)).toEqual([]);
  fireEvent.click(screen.getByRole("button", { name: "Save" }));

  expect(await screen.findByText(/costs nothing/)).toBeTruthy();
  expect(server.params("settings.change")).toEqual([{ servers: [{ ...basement, is_free: true }] }]);
});

test("a first key is saved and tried, and its test can be read before the chat opens", async () => {
  let hasKey = false;
  const { server } = await shown({
    "app.state": () => appState({ needs_start: !hasKey, default_model: hasKey ? "openai/gpt-5" : null }),
    "keys.overview": () => (hasKey ? keyList : { ...keyList, keys: [] }),
    "keys.save": () => {
      hasKey = true;
      server.publish({ type: "keys_changed" });
      return keyList;
    },
    "keys.test": () => ({ works: true, message: "The key works.", hint: "" }),
  });

  fireEvent.input(await screen.findByTestId("key-input-openai"), { target: { value: "sk-x7Qp" } });
  fireEvent.click(screen.getByTestId("key-save-openai"));
  await screen.findByText("The key works.");
  fireEvent.click(screen.getByText("Start chatting"));

  await screen.findByTestId("chat-input");
  expect(server.params("settings.change")).toEqual([{ has_chosen_start: true }]);
});

test("a model is found by typing, also one that is in no list", async () => {
  const { server } = await shown({ "conversations.set_model": () => conversationRow() }, "#/chat/1");
  await screen.findByTestId("chat-response");
  const choose = async (search: string) => {
    fireEvent.click(screen.getByTestId("model-picker"));
    const field = await screen.findByRole("combobox");
    fireEvent.input(field, { target: { value: search } });
    await waitFor(() => expect(screen.getAllByRole("option").length).toBe(1));
    fireEvent.keyDown(field, { key: "Enter" });
    await waitFor(() => expect(screen.queryByRole("combobox")).toBeNull());
  };

  await choose("mini");
  await choose("openai/gpt-9");

  expect(server.params("conversations.set_model").map(({ model }) => model)).toEqual([
    "openai/gpt-5-mini",
    "openai/gpt-9",
  ]);
});

test("after events were missed, everything that is shown is loaded again", async () => {
  const { server, app } = await shown({}, "#/chat/1");
  await screen.findByTestId("chat-response");
  server.answers["messages.page"] = () => ({
    messages: [question(1, "Hi"), reply(2, "Changed meanwhile")],
    has_more: false,
    last_event: 0,
  });

  await app.reset();

  await waitFor(() => expect(screen.getByTestId("chat-response").textContent).toContain("Changed meanwhile"));
});

test("when Deskside does not answer, the page says so and tries again", async () => {
  let isDown = true;
  const { app } = await shown({
    "app.state": () => {
      if (isDown) throw new Refusal("store_busy", "Another program uses the data.", "Close it.", true);
      return appState();
    },
  });

  await screen.findByText("Another program uses the data.");
  isDown = false;
  fireEvent.click(screen.getByText("Try again"));

  await screen.findByTestId("chat-input");
  expect(app.startProblem.value).toBeNull();
});

test("notices of the program are shown", async () => {
  const { server } = await shown();
  const notice: AppEvent = {
    type: "notice",
    level: "warning",
    code: "store_full",
    message: "The disk is full.",
    hint: "Free some space.",
  };

  server.publish(notice);

  await screen.findByText("Free some space.");
});

const SCREENS: [string, string, () => Promise<unknown>][] = [
  ["an empty chat", "", async () => screen.findByTestId("chat-input")],
  ["a conversation", "#/chat/1", () => screen.findByTestId("chat-response")],
  ["keys", "#/settings/keys", () => screen.findByTestId("key-input-anthropic")],
  ["servers", "#/settings/servers", () => screen.findByText("Add a server")],
  ["the on-device model", "#/settings/device", () => screen.findByText(/^Download/)],
  ["appearance", "#/settings/appearance", () => screen.findByText("Theme")],
  ["data", "#/settings/data", () => screen.findByText("Data folder")],
  ["diagnostics", "#/settings/diagnostics", () => screen.findByText("What Deskside uses")],
  [
    "the model picker",
    "",
    async () => {
      fireEvent.click(screen.getByTestId("model-picker"));
      await screen.findAllByRole("option");
    },
  ],
  [
    "the shortcuts",
    "",
    async () => {
      fireEvent.keyDown(window, { key: "/", ctrlKey: true });
      await screen.findByText("Start a new line");
    },
  ],
];

test.each(SCREENS)("%s has no accessibility violations", async (_name, hash, open) => {
  await shown({}, hash);
  await open();

  expect(await violations()).toEqual([]);
});

test("the first run has no accessibility violations", async () => {
  await shown({ "app.state": () => appState({ needs_start: true, default_model: null }) });
  await screen.findByTestId("key-input-openai");

  expect(await violations()).toEqual([]);
});

test("what was said is found as it is typed, walked through with the arrow keys, and opened in its place", async () => {
  const snippet = [{ text: "the " }, { text: "plums", is_hit: true }].map((piece) => ({
    is_hit: false,
    ...piece,
  }));
  const hit = {
    message_id: 1,
    root_id: 1,
    conversation_id: 2,
    title: "Letters",
    role: "user",
    created_ms: 0,
    model: null,
    agent: null,
    is_shown: false,
    is_archived: true,
    snippet,
  };
  const { server } = await shown({
    "search.find": () => ({
      titles: [{ conversation_id: 1, title: snippet, updated_ms: 0, is_archived: false }],
      messages: [hit, { ...hit, message_id: 2, root_id: 2 }],
      total: 3000,
      is_more: true,
      next_cursor: null,
      notes: ["“form:” is no filter, so it is looked for as text."],
      searched_back_to_ms: 0,
    }),
    "search.open": () => ({
      conversation: conversationRow({ id: 2, title: "Letters" }),
      message_id: 1,
      page: {
        messages: [question(1, "the plums"), reply(2, "Eaten")],
        has_more: false,
        has_newer: false,
        last_event: 0,
      },
    }),
  });

  fireEvent.keyDown(document.body, { key: "f", ctrlKey: true });
  const field = screen.getByTestId<HTMLInputElement>("search-input");
  fireEvent.input(field, { target: { value: "plums form:pdf" } });
  const results = await screen.findAllByTestId("search-result");
  expect(await violations()).toEqual([]);
  fireEvent.keyDown(field, { key: "ArrowDown" });
  fireEvent.keyDown(results[0] as HTMLElement, { key: "ArrowDown" });
  expect(document.activeElement).toBe(results[1]);
  fireEvent.click(results[1] as HTMLElement);

  await waitFor(() => {
    const found = screen.getAllByTestId("message").find((message) => message.dataset.found === "true");
    expect(found?.textContent).toContain("the plums");
  });
  expect(screen.getByRole("heading", { name: "3,000+ messages" })).toBeTruthy();
  expect(screen.getByText("Searched back to Jan 1, 1970.")).toBeTruthy();
  expect(results[1]?.textContent).toContain("other version");
  expect(server.params("search.open")).toEqual([{ message_id: 1 }]);

  fireEvent.keyDown(field, { key: "Escape" });
  expect(screen.queryAllByTestId("search-result")).toEqual([]);
  expect(screen.getAllByTestId("conversation-item")).toHaveLength(2);
});
