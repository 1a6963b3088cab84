/**
 * The page's state: what is open, and the parts it shows. No JSX; the only DOM is the address.
 *
 * Everything comes from Python and goes back to it: `start` loads, `apply` follows, `reset` loads again
 * after events were missed. Losing the page loses nothing but the place, which is in the address.
 */
import { batch, computed, signal } from "@preact/signals";
import { createAgentChoices, DEFAULT_AGENT } from "../agents/choices";
import type {
  AgentRow,
  AppEvent,
  AppState,
  ChangeSettingsInput,
  Commands,
  ConversationChangesInput,
  ConversationRow,
  ErrorRow,
  FoundMessage,
  MenuChosen,
} from "../api.gen";
import { createFiles, type DraftFile, isSending, MOST_FILES } from "../attachments/files";
import { type Upload, upload as uploadOverHttp } from "../attachments/upload";
import { BridgeError } from "../bridge";
import { type Conversation, createConversation } from "../chat/conversation";
import { createDrafts, LONGEST_MESSAGE } from "../chat/drafts";
import { createConversationList, namesOf } from "../conversations/list";
import { createSorting } from "../conversations/sorting";
import { createBackups } from "../data/backups";
import { createFaults } from "../diagnostics/faults";
import { createMcpServers } from "../mcp/servers";
import { createDevice } from "../models/device";
import { createModels } from "../models/models";
import { createNetwork } from "../network/network";
import { createProposals } from "../proposals/proposals";
import { createSearch } from "../search/search";
import { createKeys } from "../settings/keys";
import { createMemories } from "../settings/memories";
import { createTools } from "../tools/tools";
import { createTransfers } from "../transfers/transfers";
import { formatCount } from "../ui/format";
import { createToasts } from "../ui/toasts";
import { createUpdates } from "../updates/updates";
import { createCosts } from "../usage/costs";
import { createDragging } from "./dragging";
import { hashOf, type Place, placeOf, type Section, windowAddress } from "./place";
import { USUAL_ZOOM, zoomAfter } from "./zoom";

export type App = ReturnType<typeof createApp>;

// As the bridge takes it.
const LONGEST_TITLE = 200;
/** The code of what is no problem any more once the files have changed. */
export const FILES_PROBLEM = "files";

export function createApp(
  api: Commands,
  address: { hash: string } = windowAddress,
  upload: Upload = uploadOverHttp,
) {
  const state = signal<AppState | null>(null);
  const startProblem = signal<BridgeError | null>(null);
  const place = signal<Place>(placeOf(address.hash));
  /** The model picked for the chat that does not exist yet. */
  const pickedModel = signal<string | null>(null);
  /** The same for the agent, by its name. */
  const pickedAgent = signal<string | null>(null);
  /**
   * The first-run page is shown. It stays until the user is done with it: the first key that is saved
   * already gives Python something to answer with, but its test is still to be read.
   */
  const isStarting = signal(false);
  /** What the user chose last in a menu of the system's; the window does it. */
  const menuChoice = signal<MenuChosen | null>(null);

  const toasts = createToasts();
  const dragging = createDragging(
    api,
    toasts,
    computed(() => state.value?.drags_files ?? false),
  );
  const drafts = createDrafts(api);
  const files = createFiles(api, upload);
  const list = createConversationList(api);
  const sorting = createSorting(api);
  const search = createSearch(api);
  const models = createModels(api);
  const agents = createAgentChoices(api);
  const keys = createKeys(api);
  const device = createDevice(api);
  const backups = createBackups(api);
  const memories = createMemories(api);
  const tools = createTools(api);
  const mcp = createMcpServers(api);
  const faults = createFaults(api, toasts, () => openSettings("diagnostics"));
  const network = createNetwork(api);
  const transfers = createTransfers(api, () => {
    void list.load();
    void sorting.load();
  });
  const proposals = createProposals(api, toasts, (id) => openConversationById(id), newChat);
  const costs = createCosts(api);
  const updates = createUpdates(api);
  const conversation = signal<Conversation>(newConversation(null));
  /** Counts opened chats, so that each starts with a fresh view. */
  const opened = signal(0);

  const settings = computed(() => state.value?.settings ?? null);
  /** The name of who answers next in the open chat. */
  const agent = computed(() => conversation.value.row.value?.agent ?? pickedAgent.value ?? DEFAULT_AGENT);
  /** What answers next in the open chat; null when nothing is set up. */
  const model = computed(() => {
    const row = conversation.value.row.value;
    const own = row ? row.model : (pickedModel.value ?? agents.modelOf(agent.value));
    return own ?? state.value?.default_model ?? null;
  });

  // -- loading and following --

  async function start(): Promise<void> {
    startProblem.value = null;
    try {
      const found = await api.app.state();
      drafts.open(null, found.draft);
      batch(() => {
        state.value = found;
        isStarting.value = found.needs_start;
      });
    } catch (error) {
      if (!(error instanceof BridgeError)) throw error;
      startProblem.value = error;
      return;
    }
    await Promise.all([list.load(), openPlace(place.value)]);
    void sorting.load();
    // Asking providers can take seconds; nothing waits for it.
    void models.load();
    void agents.load();
    void transfers.load();
    void updates.load();
    void proposals.load();
  }

  /** Events are gone: everything that is shown is loaded again. */
  async function reset(): Promise<void> {
    void transfers.load();
    void updates.load();
    void proposals.load();
    const parts = [refreshState(), reloadConversations(), sorting.load(), models.load(), agents.load()];
    parts.push(files.reload());
    if (keys.list.value) parts.push(keys.load());
    if (memories.list.value) parts.push(memories.load());
    if (tools.list.value) parts.push(tools.load());
    if (mcp.rows.value) parts.push(mcp.load());
    if (backups.list.value) parts.push(backups.load());
    if (network.rows.value) parts.push(network.load());
    await Promise.all([...parts, device.load()]);
  }

  async function reloadConversations(): Promise<void> {
    await Promise.all([list.load(), conversation.value.load()]);
    const row = list.rows.value.find(({ id }) => id === conversation.value.row.value?.id);
    if (row) apply({ type: "conversation_changed", conversation: row }, 0);
  }

  /** Conversations say who answers, and messages who answered: a new name or label is theirs, too. */
  async function followAgents(): Promise<void> {
    const before = agents.rows.value;
    await agents.load();
    const after = new Map(agents.rows.value.map((row) => [row.id, row]));
    const isSame = (row: AgentRow) => {
      const now = after.get(row.id);
      return now?.name === row.name && now.label === row.label;
    };
    if (before.length === after.size && before.every(isSame)) return;
    const picked = before.find(({ name }) => name === pickedAgent.value);
    if (picked) pickedAgent.value = after.get(picked.id)?.name ?? null;
    await reloadConversations();
  }

  function apply(event: AppEvent, n: number): void {
    list.apply(event);
    conversation.value.apply(event, n);
    transfers.apply(event);
    proposals.apply(event);
    network.apply(event);
    updates.apply(event);
    switch (event.type) {
      case "settings_changed":
        if (state.value) state.value = { ...state.value, settings: event.settings };
        void refreshState();
        return;
      case "keys_changed":
        void keys.load();
        void refreshState();
        return;
      case "models_changed":
        void models.load();
        void refreshState();
        return;
      case "agents_changed":
        void followAgents();
        return;
      case "attachment_changed":
        files.update(event.attachment);
        return;
      case "folders_changed":
        void sorting.load();
        return;
      case "tools_changed":
        if (tools.list.value) void tools.load();
        return;
      case "device_changed":
        if (device.status.value?.files.length !== event.status.files.length) void refreshState();
        device.status.value = event.status;
        return;
      case "memories_changed":
        if (memories.list.value) void memories.load();
        return;
      case "mcp_changed":
        // Asking starts the servers: only the page that shows them does.
        if (mcp.rows.value) void mcp.load();
        return;
      case "backups_changed":
        backups.apply(event);
        return;
      case "menu_chosen":
        menuChoice.value = event;
        return;
      case "trouble_changed":
        if (state.value) state.value = { ...state.value, trouble: event.trouble };
        return;
      case "fault_kept":
        void followFault(event.fault);
        return;
      case "notice":
        toasts.show(event);
        return;
      case "conversation_deleted":
        if (conversation.value.isDeleted.value) newChat();
        if (search.isActive.value) search.search();
        return;
      case "conversation_changed":
        drafts.takeOver(event.conversation.id, event.conversation.draft);
        return;
      case "message_changed":
      case "text_appended":
      case "part_changed":
      case "parts_replaced":
      case "reply_retried":
      case "transfer_changed":
      case "proposals_changed":
      case "network_changed":
      case "updates_changed":
        return;
      default:
        event satisfies never;
    }
  }

  async function followFault(fault: ErrorRow): Promise<void> {
    try {
      await faults.follow(fault);
    } catch (error) {
      // What cannot be noted now is told again at the next start.
      if (!(error instanceof BridgeError)) throw error;
    }
  }

  /** `default_model` and `needs_start` follow from keys, models and settings; only Python knows how. */
  async function refreshState(): Promise<void> {
    try {
      state.value = await api.app.state();
    } catch (error) {
      // The socket dropped; the next reset or event asks again.
      if (!(error instanceof BridgeError)) throw error;
    }
  }

  // -- going places --

  function go(to: Place): void {
    place.value = to;
    address.hash = hashOf(to);
  }

  /** As a link to it: one that was deleted meanwhile is said to be. */
  const openConversationById = (id: number) =>
    toasts.attempt(async () => openConversation(await api.conversations.get({ id })));

  /** To a message in its place: the conversation opens around it. */
  const openFound = (hit: FoundMessage) =>
    toasts.attempt(async () => {
      if (conversation.value.row.value?.id !== hit.conversation_id) {
        const row = await api.conversations.get({ id: hit.conversation_id });
        show(newConversation(row), row.id);
      } else openChat();
      const words = hit.snippet.find(({ is_hit }) => is_hit)?.text ?? "";
      await conversation.value.goTo(hit.message_id, words);
    });

  async function openPlace(to: Place): Promise<void> {
    if (to.view === "settings" || to.conversationId === null) return;
    try {
      openConversation(await api.conversations.get({ id: to.conversationId }));
      if (to.view !== "chat") go(to);
    } catch (error) {
      if (!(error instanceof BridgeError)) throw error;
      newChat();
    }
  }

  function newConversation(row: ConversationRow | null): Conversation {
    const made = createConversation(api, {
      row,
      onCreated: (created) => {
        list.apply({ type: "conversation_changed", conversation: created });
        const isShown = conversation.value === made && place.value.view === "chat";
        if (isShown) go({ view: "chat", conversationId: created.id });
      },
    });
    return made;
  }

  function show(next: Conversation, id: number | null): void {
    void drafts.save();
    batch(() => {
      conversation.value.close();
      conversation.value = next;
      opened.value += 1;
      isStarting.value = false;
      go({ view: "chat", conversationId: id });
    });
  }

  function openConversation(row: ConversationRow): void {
    if (conversation.value.row.value?.id === row.id) {
      openChat();
      return;
    }
    const next = newConversation(row);
    show(next, row.id);
    void next.load();
  }

  function newChat(): void {
    pickedModel.value = null;
    pickedAgent.value = null;
    show(newConversation(null), null);
  }

  /** Back to the chat that is open; the first-run page comes back at the next start. */
  function openChat(): void {
    isStarting.value = false;
    go({ view: "chat", conversationId: conversation.value.row.value?.id ?? null });
  }

  function openSettings(section: Section = "keys"): void {
    go({ view: "settings", section });
  }

  /** What was recorded of the run that wrote a reply. */
  function inspectRun(runId: number, conversationId: number): void {
    go({ view: "run", runId, conversationId });
  }

  /** Two runs side by side; the conversation is that of the first one. */
  function compareRuns(leftRun: number, rightRun: number, conversationId: number): void {
    go({ view: "compare", leftRun, rightRun, conversationId });
  }

  // -- changing things --

  const changeSettings = (changes: ChangeSettingsInput) =>
    toasts.attempt(async () => {
      const settings = await api.settings.change(changes);
      if (state.value) state.value = { ...state.value, settings };
    });

  /** A step larger (1) or smaller (-1), or back to the usual size (0). The window does it, and keeps it. */
  function zoom(step: -1 | 0 | 1): void {
    const now = settings.value?.zoom_percent ?? USUAL_ZOOM;
    const next = step === 0 ? USUAL_ZOOM : zoomAfter(now, step);
    if (next === now || !state.value) return;
    // At once, for the key may be pressed again before Python has answered.
    state.value = { ...state.value, settings: { ...state.value.settings, zoom_percent: next } };
    void changeSettings({ zoom_percent: next });
  }

  const setOffline = (isOffline: boolean) =>
    toasts.attempt(async () => {
      const settings = await api.network.switch({ is_offline: isOffline });
      if (state.value) state.value = { ...state.value, settings };
    });

  /** The first-run page is done: remember it, and begin. */
  async function finishStart(changes: ChangeSettingsInput = {}): Promise<void> {
    if (!(await changeSettings({ ...changes, has_chosen_start: true }))) return;
    await refreshState();
    void models.load();
    newChat();
  }

  /** For the open chat only; `settings.change` sets what new chats start with. */
  async function chooseModel(model: string): Promise<void> {
    const row = conversation.value.row.value;
    if (row) await toasts.attempt(() => api.conversations.set_model({ id: row.id, model }));
    else pickedModel.value = model;
  }

  /** Who answers next in the open chat. */
  async function chooseAgent(name: string): Promise<void> {
    const row = conversation.value.row.value;
    if (!row) {
      pickedAgent.value = name;
      if (agents.modelOf(name) !== null) pickedModel.value = null;
    } else await toasts.attempt(() => api.conversations.set_agent({ id: row.id, agent: name }));
  }

  async function setDefaultModel(model: string | null): Promise<void> {
    if (await changeSettings({ default_model: model })) await refreshState();
  }

  /**
   * Sends what is typed: as a question, or to the answer that is being written. The text leaves the composer
   * only once it is on the disk.
   */
  async function send(): Promise<void> {
    const chat = conversation.value;
    const id = chat.row.value?.id ?? null;
    const text = drafts.open(id, "").value;
    const attached = files.of(id).value;
    if (text.trim() === "" && attached.length === 0) return;
    if (text.length > LONGEST_MESSAGE) {
      const message = `This message has ${formatCount(text.length)} characters; at most ${formatCount(LONGEST_MESSAGE)} can be sent.`;
      chat.problem.value = new BridgeError("invalid_request", message, "Shorten it, or send it in parts.");
      return;
    }
    const problem = filesProblem();
    if (problem) {
      chat.problem.value = problem;
      return;
    }
    if (id !== null && chat.running.value) {
      await chat.steer(text, () => drafts.clearSteering(id));
      return;
    }
    const [model, agent] = id === null ? [pickedModel.value, pickedAgent.value] : [null, null];
    const ids = attached.flatMap(({ row }) => (row ? [row.id] : []));
    const onStored = () => {
      drafts.clear(id);
      files.sent(id, ids);
    };
    await chat.send(text, model, agent, onStored, ids);
  }

  /** Why what is typed in the open chat cannot be sent with its files now. */
  function filesProblem(): BridgeError | null {
    const chat = conversation.value;
    return problemOf(files.of(chat.row.value?.id ?? null).value, chat.running.value !== null);
  }

  /** Puts files to what is typed in the open chat. */
  function attach(chosen: File[], hasFolders = false): void {
    const leftOut = files.add(conversation.value.row.value?.id ?? null, chosen);
    if (hasFolders) {
      const hint = "Open the folder and choose the files in it.";
      toasts.show({ level: "warning", message: "Folders cannot be attached.", hint });
    }
    if (leftOut > 0) {
      const message = `${formatCount(leftOut)} files were left out: a question takes at most ${MOST_FILES}.`;
      toasts.show({ level: "warning", message, hint: "" });
    }
  }

  /** Puts a text below what is typed already, for the user to look at before it is sent. */
  function insertIntoMessage(text: string): void {
    const id = conversation.value.row.value?.id ?? null;
    const typed = drafts.open(id, conversation.value.row.value?.draft ?? "").value.trimEnd();
    drafts.change(id, typed ? `${typed}\n\n${text}` : text);
    openChat();
  }

  const rename = (id: number, title: string) =>
    toasts.attempt(() =>
      api.conversations.rename({ id, title: [...title].slice(0, LONGEST_TITLE).join("") }),
    );

  /** Goes on from a message in a new conversation, which is opened. */
  const fork = (messageId: number) =>
    toasts.attempt(async () => openConversation(await api.conversations.fork({ message_id: messageId })));

  const nameByModel = (id: number) => toasts.attempt(() => api.conversations.name_by_model({ id }));

  // -- one or several conversations --

  const idsOf = (rows: ConversationRow[]) => rows.map(({ id }) => id);
  const isOrAre = (rows: ConversationRow[]) => (rows.length === 1 ? "is" : "are");

  const changeConversations = (rows: ConversationRow[], changes: ConversationChangesInput) =>
    toasts.attempt(() => api.conversations.change({ ids: idsOf(rows), changes }));

  async function archive(rows: ConversationRow[], isArchived: boolean): Promise<void> {
    if (!(await changeConversations(rows, { is_archived: isArchived }))) return;
    const where = isArchived ? "in the archive" : "in the list again";
    const undo = () => void changeConversations(rows, { is_archived: !isArchived });
    const action = { label: "Undo", run: undo };
    toasts.show({ level: "info", message: `${namesOf(rows)} ${isOrAre(rows)} ${where}.`, hint: "", action });
  }

  /** Into the trash. */
  async function remove(...rows: ConversationRow[]): Promise<void> {
    if (!(await toasts.attempt(() => api.conversations.delete({ ids: idsOf(rows) })))) return;
    const action = { label: "Undo", run: () => void restore(rows) };
    toasts.show({
      level: "info",
      message: `${namesOf(rows)} ${isOrAre(rows)} in the trash.`,
      hint: "",
      action,
      restores: idsOf(rows),
    });
  }

  async function restore(rows: ConversationRow[]): Promise<void> {
    await toasts.attempt(() => api.conversations.restore({ ids: idsOf(rows) }));
  }

  async function removeForGood(rows: ConversationRow[]): Promise<void> {
    if (!(await toasts.attempt(() => api.conversations.purge({ ids: idsOf(rows) })))) return;
    toasts.forgetRestoring(idsOf(rows));
    await list.load();
  }

  async function emptyTrash(): Promise<void> {
    if (await toasts.attempt(() => api.conversations.empty_trash())) toasts.forgetRestoring("all");
    await list.load();
  }

  const openLink = (url: string): void => void toasts.attempt(() => api.desktop.open_link({ url }));

  return {
    api,
    state,
    startProblem,
    place,
    settings,
    isStarting,
    model,
    agent,
    toasts,
    dragging,
    drafts,
    files,
    list,
    sorting,
    search,
    models,
    agents,
    keys,
    device,
    backups,
    memories,
    network,
    tools,
    mcp,
    transfers,
    proposals,
    faults,
    costs,
    updates,
    conversation,
    opened,
    menuChoice,
    start,
    reset,
    apply,
    openConversation,
    openConversationById,
    openFound,
    newChat,
    openChat,
    openSettings,
    inspectRun,
    compareRuns,
    changeSettings,
    zoom,
    setOffline,
    finishStart,
    chooseModel,
    chooseAgent,
    setDefaultModel,
    send,
    filesProblem,
    attach,
    insertIntoMessage,
    rename,
    nameByModel,
    fork,
    changeConversations,
    archive,
    remove,
    restore,
    removeForGood,
    emptyTrash,
    openLink,
  };
}

function problemOf(attached: DraftFile[], isRunning: boolean): BridgeError | null {
  const refused = attached.find(({ problem }) => problem !== null);
  if (refused) {
    const message = `“${refused.name}” could not be added.`;
    return new BridgeError(FILES_PROBLEM, message, "Retry it, or remove it, then send.");
  }
  if (attached.some(isSending)) {
    return new BridgeError(FILES_PROBLEM, "Files are still being added.", "Send when they are there.");
  }
  if (!isRunning || attached.length === 0) return null;
  const message = "An answer that is being written takes no files.";
  return new BridgeError(FILES_PROBLEM, message, "Wait until it has ended, or remove the files.");
}
