/**
 * The open conversation: its messages, and what can be done with them. No JSX, no DOM.
 *
 * `apply(event)` is the only way events change state. Every event may come twice. When one shows that
 * something was missed (text beyond what is here, a message out of place), the messages are loaded
 * again: the store is the truth, an event is a hint to look sooner.
 *
 * While a page of messages is under way, events are applied and also kept; those newer than the page
 * are applied once more after it, so an event that overtakes its snapshot is not lost.
 *
 * The messages here are a stretch of the path, usually its end. While its end is elsewhere (`hasNewer`),
 * `end` is the newest message, which hears its events, so that the reply that is being written can be seen
 * to and stopped from anywhere; what else happens there is loaded when the reader comes near.
 *
 * Messages in which other agents answer a call of a reply (`delegator_id`) are on no path: they are kept
 * beside it, by the reply that asked, and hear the same events.
 */
import { computed, type Signal, signal } from "@preact/signals";
import type {
  AppEvent,
  AttachmentRow,
  Commands,
  ConversationRow,
  MessagePage,
  MessageRow,
  StartedRun,
} from "../api.gen";
import { BridgeError } from "../bridge";
import type { Shown } from "./drawing";
import {
  appendText,
  askedBy,
  changePart,
  createMessage,
  type MessageState,
  type PartState,
  replaceParts,
  replaceRow,
  show,
} from "./message";

export type ConversationApi = Pick<Commands, "conversations" | "messages" | "recordings" | "runs" | "search">;
export type Conversation = ReturnType<typeof createConversation>;

/** The answers of other agents to the calls of one reply. */
export interface Delegation {
  /** In the order of the calls. */
  readonly messages: Signal<MessageState[]>;
  readonly problem: Signal<BridgeError | null>;
  isAsked: boolean;
}

/** Something that waits for the user's word. `message` may be an agent's that another one asked. */
export interface Question {
  kind: "approval" | "elicitation" | "pause";
  message: MessageState;
  part: PartState;
}

/** A message that was looked for, and the words of it. */
export interface Found {
  id: number;
  text: string;
}

type Decision = Omit<Parameters<Commands["runs"]["decide"]>[0], "message_id" | "position">;
type FormAnswer = Omit<Parameters<Commands["runs"]["answer_elicitation"]>[0], "message_id" | "position">;

export interface ConversationOptions {
  /** A chat without a row exists once its first message was sent. */
  row: ConversationRow | null;
  onCreated?(row: ConversationRow): void;
  /** Run once at the next frame. */
  schedule?(flush: () => void): void;
}

const PAGE = 50;
/** While the reader scrolls: what is put on the screen at once must not hold it up. */
const STEP = 25;
const LARGEST_PAGE = 200;
/** More than this is not kept: what is far from the reader goes, and is loaded again. */
const MOST_MESSAGES = 200;
// Several signs of one gap come together; one reload answers them all.
const RELOAD_AFTER_MS = 100;

export function createConversation(api: ConversationApi, options: ConversationOptions) {
  const schedule = options.schedule ?? ((flush) => void requestAnimationFrame(flush));
  const row = signal<ConversationRow | null>(options.row);
  const messages = signal<MessageState[]>([]);
  const hasMore = signal(false);
  const hasNewer = signal(false);
  /** The newest message, where it is not among `messages`. */
  const end = signal<MessageState | null>(null);
  /** The last question that was asked here: the transcript goes to it. */
  const lastAsked = signal(0);
  /** What the reader was taken to. */
  const found = signal<Found | null>(null);
  const isLoading = signal(false);
  const isSending = signal(false);
  const isDeleted = signal(false);
  /** Why the messages could not be loaded. */
  const loadProblem = signal<BridgeError | null>(null);
  /** Why the last action (send, retry, stop …) did not work. */
  const problem = signal<BridgeError | null>(null);
  const stoppingId = signal(0);

  const newest = computed(() => (hasNewer.value ? end.value : messages.value.at(-1)) ?? null);
  const running = computed(() => {
    const last = newest.value;
    return last?.row.value.status === "streaming" ? last : null;
  });
  const isStopping = computed(() => running.value !== null && running.value.id === stoppingId.value);
  const tokens = computed(() => messages.value.reduce((sum, { row }) => sum + tokensOf(row.value), 0));
  /** What the user is asked now. Only the last reply can wait, and those that it asked. */
  const questions = computed(() => {
    const last = newest.value;
    return last ? questionsIn(last) : [];
  });

  const delegations = new Map<number, Delegation>();
  /** All messages of all delegations, by id. */
  const delegated = new Map<number, MessageState>();
  /** Events since each request for a delegation that is under way. */
  const overtaking = new Set<AppEvent[]>();

  const unshown = new Set<PartState>();
  /** Messages of versions that are not shown: their text is none of our business. */
  const elsewhere = new Set<number>();
  let kept: { event: AppEvent; n: number }[] = [];
  /** What was sent when the socket dropped: nobody knows yet whether it arrived. */
  let unconfirmed: { text: string; onStored(): void } | null = null;
  let pagesUnderWay = 0;
  let newestLoad = 0;
  let reloadTimer: ReturnType<typeof setTimeout> | undefined;

  // -- events --

  function apply(event: AppEvent, n: number): void {
    if (pagesUnderWay > 0 || (row.value === null && isSending.value)) kept.push({ event, n });
    for (const events of overtaking) events.push(event);
    change(event);
  }

  function change(event: AppEvent): void {
    switch (event.type) {
      case "conversation_changed":
        if (event.conversation.id === row.value?.id) row.value = event.conversation;
        return;
      case "conversation_deleted":
        if (event.conversation_id === row.value?.id) isDeleted.value = true;
        return;
      case "message_changed":
        if (event.message.conversation_id !== row.value?.id) return;
        if (event.message.delegator_id !== null) {
          placeDelegated(event.message);
          return;
        }
        // While a page is under way nobody knows the path; the event is applied again after it.
        if (find(event.message.id) || (pagesUnderWay === 0 && !elsewhere.has(event.message.id))) {
          place(event.message);
        }
        return;
      case "text_appended":
        onMessage(event.conversation_id, event.message_id, (message) => {
          const part = appendText(message, event);
          if (part) showSoon(part);
          else reloadSoon();
        });
        return;
      case "part_changed":
        onMessage(event.conversation_id, event.message_id, (message) => {
          if (!changePart(message, event.position, event.part)) reloadSoon();
        });
        return;
      case "parts_replaced":
        onMessage(event.conversation_id, event.message_id, (message) => {
          if (!replaceParts(message, event.position, event.parts)) reloadSoon();
        });
        return;
      case "reply_retried":
        onMessage(event.conversation_id, event.message_id, (message) => {
          message.retrying.value = event;
        });
        return;
      case "attachment_changed":
        for (const { row } of messages.value) row.value = withAttachment(row.value, event.attachment);
        return;
      case "settings_changed":
      case "keys_changed":
      case "models_changed":
      case "agents_changed":
      case "folders_changed":
      case "tools_changed":
      case "device_changed":
      case "memories_changed":
      case "mcp_changed":
      case "network_changed":
      case "updates_changed":
      case "transfer_changed":
      case "proposals_changed":
      case "menu_chosen":
      case "backups_changed":
      case "fault_kept":
      case "notice":
      case "trouble_changed":
        return;
      default:
        event satisfies never;
    }
  }

  function onMessage(conversationId: number, id: number, change: (message: MessageState) => void): void {
    if (conversationId !== row.value?.id || elsewhere.has(id)) return;
    const message = find(id);
    if (message) change(message);
    else if (hasNewer.value) elsewhere.add(id);
    // It may be in the delegation that is under way: then the event is applied again after it.
    else if (overtaking.size === 0) reloadSoon(id);
  }

  /** Put a row where it belongs: in place of its older self, or at the end of the path. */
  function place(message: MessageRow): void {
    const old = find(message.id);
    if (old) {
      replaceRow(old, message);
      return;
    }
    const parent = messages.value.findIndex(({ id }) => id === message.parent_id);
    if (hasNewer.value && parent < 0) {
      if (message.id > (end.value?.id ?? 0)) end.value = createMessage(message);
      return;
    }
    const isNewest = messages.value.every(({ id }) => id < message.id);
    if (!isNewest || (parent < 0 && messages.value.length > 0)) {
      reloadSoon(message.id);
      return;
    }
    confirm(message);
    // A retry's reply takes the place of the one before and of what followed it.
    messages.value = [...messages.value.slice(0, parent + 1), createMessage(message)];
    setHasNewer(false);
    if (message.role === "user") lastAsked.value = message.id;
  }

  function placeDelegated(message: MessageRow): void {
    elsewhere.delete(message.id);
    const old = delegated.get(message.id);
    if (old) {
      replaceRow(old, message);
      return;
    }
    const made = createMessage(message);
    delegated.set(message.id, made);
    const { messages } = delegationOf(message.delegator_id ?? 0);
    messages.value = [...messages.value, made].sort((a, b) => callOf(a) - callOf(b) || a.id - b.id);
  }

  function delegationOf(delegatorId: number): Delegation {
    let delegation = delegations.get(delegatorId);
    if (!delegation) {
      delegation = { messages: signal([]), problem: signal(null), isAsked: false };
      delegations.set(delegatorId, delegation);
    }
    return delegation;
  }

  /** What waits for the user in a message and in the answers it asked for. */
  function questionsIn(message: MessageState): Question[] {
    const own = message.parts.value.flatMap((part) => {
      const kind = askedBy(part);
      return kind ? [{ kind, message, part }] : [];
    });
    return [...own, ...delegationOf(message.id).messages.value.flatMap(questionsIn)];
  }

  function showSoon(part: PartState): void {
    if (unshown.size === 0) schedule(showAll);
    unshown.add(part);
  }

  function showAll(): void {
    for (const part of unshown) show(part);
    unshown.clear();
  }

  // -- pages --

  async function load(): Promise<void> {
    if (row.value === null) return;
    const limit = Math.min(Math.max(PAGE, messages.value.length), LARGEST_PAGE);
    // A reader in the middle stays there.
    const middle = hasNewer.value ? messages.value[Math.floor(messages.value.length / 2)] : undefined;
    const request = { conversation_id: row.value.id, limit, around_id: middle?.id ?? null };
    isLoading.value = true;
    const problem = await withPage(() => api.messages.page(request), replaceAll);
    if (hasNewer.value) await loadEnd();
    isLoading.value = false;
    loadProblem.value = problem;
    for (const [id, { isAsked, messages }] of delegations) {
      if (isAsked || messages.value.length > 0) void loadDelegated(id);
    }
  }

  /** The answers to a reply's calls, for who wants to see them. Those of a reply that runs come by events. */
  function openDelegated(delegatorId: number): void {
    if (!delegationOf(delegatorId).isAsked) void loadDelegated(delegatorId);
  }

  async function loadDelegated(delegatorId: number): Promise<void> {
    const delegation = delegationOf(delegatorId);
    delegation.isAsked = true;
    delegation.problem.value = null;
    const events: AppEvent[] = [];
    overtaking.add(events);
    try {
      const rows = await api.messages.delegated({ message_id: delegatorId });
      overtaking.delete(events);
      for (const row of rows) placeDelegated(row);
      const ids = new Set(rows.map(({ id }) => id));
      // Some are older than the rows: all of them in their order still end where the last one does.
      for (const event of events) if (ids.has(messageIdOf(event))) change(event);
      // Something may wait for the user further inside, where nobody has looked yet.
      for (const row of rows) if (row.parts.some(isDelegating)) openDelegated(row.id);
    } catch (error) {
      delegation.problem.value = asProblem(error);
    } finally {
      overtaking.delete(events);
    }
  }

  /** Called when the reader comes near the top. */
  async function loadOlder(): Promise<void> {
    const first = messages.value[0];
    if (row.value === null || !first || !hasMore.value || isLoading.value) return;
    const request = { conversation_id: row.value.id, before_id: first.id, limit: STEP };
    isLoading.value = true;
    loadProblem.value = await withPage(
      () => api.messages.page(request),
      (page) => {
        const all = [...page.messages.map(createMessage), ...messages.value];
        hasMore.value = page.has_more;
        if (all.length > MOST_MESSAGES) {
          end.value ??= all.at(-1) ?? null;
          hasNewer.value = true;
        }
        messages.value = all.slice(0, MOST_MESSAGES);
      },
    );
    isLoading.value = false;
  }

  /** Called when the reader comes near the bottom, and it is not the end. */
  async function loadNewer(): Promise<void> {
    const last = messages.value.at(-1);
    if (row.value === null || !last || !hasNewer.value || isLoading.value) return;
    const request = { conversation_id: row.value.id, after_id: last.id, limit: STEP };
    isLoading.value = true;
    loadProblem.value = await withPage(
      () => api.messages.page(request),
      (page) => {
        const all = [...messages.value, ...page.messages.map(adopted)];
        for (const { id } of page.messages) elsewhere.delete(id);
        if (all.length > MOST_MESSAGES) hasMore.value = true;
        messages.value = all.slice(-MOST_MESSAGES);
        setHasNewer(page.has_newer);
      },
    );
    isLoading.value = false;
  }

  /** Back to the end, from wherever the reader is. */
  async function jumpToEnd(): Promise<void> {
    if (row.value === null || !hasNewer.value) return;
    const request = { conversation_id: row.value.id, limit: PAGE };
    isLoading.value = true;
    loadProblem.value = await withPage(() => api.messages.page(request), replaceAll);
    isLoading.value = false;
  }

  /** The newest message of the path, while the reader is elsewhere. */
  async function loadEnd(): Promise<void> {
    if (row.value === null) return;
    const request = { conversation_id: row.value.id, limit: 1 };
    try {
      const [message] = (await api.messages.page(request)).messages;
      if (!message || !hasNewer.value || message.id < (end.value?.id ?? 0)) return;
      if (end.value?.id === message.id) replaceRow(end.value, message);
      else end.value = createMessage(message);
      elsewhere.delete(message.id);
    } catch (error) {
      loadProblem.value = asProblem(error);
    }
  }

  /** Take the reader to a message in its place; `text` is what was looked for in it. */
  async function goTo(messageId: number, text: string): Promise<void> {
    elsewhere.clear();
    found.value = null;
    let id = messageId;
    const ask = async () => {
      const place = await api.search.open({ message_id: messageId });
      id = place.message_id;
      return place.page;
    };
    isLoading.value = true;
    loadProblem.value = await withPage(ask, (page) => {
      replaceAll(page);
      found.value = { id, text };
    });
    isLoading.value = false;
    if (hasNewer.value) await loadEnd();
  }

  /** The message that hears the events already, or a new one. */
  function adopted(message: MessageRow): MessageState {
    if (end.value?.id !== message.id) return createMessage(message);
    replaceRow(end.value, message);
    return end.value;
  }

  function setHasNewer(isTrue: boolean): void {
    hasNewer.value = isTrue;
    if (!isTrue) end.value = null;
  }

  /** Run `take` on the page unless a newer page was asked for meanwhile; then catch up with events. */
  async function withPage(ask: () => Promise<MessagePage>, take: (page: MessagePage) => void) {
    const load = ++newestLoad;
    pagesUnderWay += 1;
    try {
      const page = await ask();
      if (load !== newestLoad) return null;
      take(page);
      const missed = kept.filter(({ n }) => n > page.last_event);
      pagesUnderWay -= 1;
      for (const { event, n } of missed) apply(event, n);
      pagesUnderWay += 1;
      return null;
    } catch (error) {
      return asProblem(error);
    } finally {
      pagesUnderWay -= 1;
      if (pagesUnderWay === 0) kept = [];
    }
  }

  function replaceAll(page: MessagePage): void {
    const known = new Map(messages.value.map((message) => [message.id, message]));
    const first = messages.value.findIndex(({ id }) => id === page.messages[0]?.id);
    // What was loaded above a known message cannot have changed: ancestors stay what they are.
    const above = first > 0 ? messages.value.slice(0, first) : [];
    if (above.length === 0) hasMore.value = page.has_more;
    const below = page.messages.map((message) => {
      const old = known.get(message.id);
      if (old) replaceRow(old, message);
      return old ?? adopted(message);
    });
    for (const message of page.messages) if (!known.has(message.id)) confirm(message);
    messages.value = [...above, ...below];
    setHasNewer(page.has_newer);
    for (const { id } of below) elsewhere.delete(id);
  }

  /** `unknownId` is not here; if the next page does not have it either, it is off the path. */
  function reloadSoon(unknownId?: number): void {
    // A gap seen while a page is under way shows again after it, if the page does not fill it.
    if (pagesUnderWay > 0) return;
    if (unknownId !== undefined) elsewhere.add(unknownId);
    reloadTimer ??= setTimeout(() => {
      reloadTimer = undefined;
      void load();
    }, RELOAD_AFTER_MS);
  }

  // -- actions --

  /** `onStored` is called once the question is on the disk; until then the text belongs in the composer. */
  async function send(
    text: string,
    model: string | null,
    agent: string | null,
    onStored = () => {},
    attachmentIds: number[] = [],
  ): Promise<void> {
    if (isSending.value || running.value) return;
    isSending.value = true;
    unconfirmed = null;
    const conversation_id = row.value?.id ?? null;
    const params = { text, conversation_id, model, agent, attachment_ids: attachmentIds };
    const isSent = await act(async () => adopt(await api.runs.start(params)));
    isSending.value = false;
    if (pagesUnderWay === 0) kept = [];
    if (isSent) onStored();
    else if (problem.value?.code === "disconnected") unconfirmed = { text, onStored };
  }

  /** The socket dropped while a question was sent; here it is, so it arrived after all. */
  function confirm(message: MessageRow): void {
    const isIt = message.role === "user" && textOf(message) === unconfirmed?.text;
    if (!unconfirmed || !isIt) return;
    problem.value = null;
    unconfirmed.onStored();
    unconfirmed = null;
  }

  function adopt(started: StartedRun): void {
    const isNew = row.value === null;
    row.value = started.conversation;
    // Rows that are known came with events, which may be newer than this answer.
    for (const message of [started.question, started.reply]) {
      if (message && !find(message.id)) {
        elsewhere.delete(message.id);
        place(message);
      }
    }
    if (hasNewer.value) void showAtEnd(started.question);
    else if (pagesUnderWay > 0) void load();
    if (!isNew) return;
    for (const { event, n } of kept.slice()) apply(event, n);
    options.onCreated?.(started.conversation);
  }

  /** What was asked from the middle. */
  async function showAtEnd(question: MessageRow | null): Promise<void> {
    await jumpToEnd();
    if (question) lastAsked.value = question.id;
  }

  /** Say something to the reply that is being written; `onStored` is called once it is on the disk. */
  async function steer(text: string, onStored: () => void): Promise<void> {
    const reply = running.value;
    if (!reply || isSending.value) return;
    isSending.value = true;
    const isStored = await act(async () => {
      const { steering } = await api.runs.steer({ message_id: reply.id, text });
      // The row may be older than the events that came meanwhile; only what waits is news.
      if (reply.row.value.status === "streaming") reply.row.value = { ...reply.row.value, steering };
    });
    isSending.value = false;
    if (isStored) onStored();
  }

  async function stop(): Promise<void> {
    const reply = running.value;
    if (!reply || isStopping.value) return;
    stoppingId.value = reply.id;
    const isDone = await act(() => api.runs.stop({ message_id: reply.id }));
    if (!isDone) stoppingId.value = 0;
  }

  const retry = (id: number, model: string | null = null) =>
    act(async () => adopt(await api.runs.retry({ message_id: id, model })));

  /** A question in other words, with its own answer. True once it is on the disk. */
  async function askInstead(id: number, text: string): Promise<boolean> {
    if (isSending.value || running.value) return false;
    isSending.value = true;
    const isStored = await act(async () =>
      adopt(await api.runs.ask_instead({ message_id: id, text, model: null })),
    );
    isSending.value = false;
    return isStored;
  }

  const continueReply = (id: number) =>
    act(async () => {
      const started = await api.runs.continue_reply({ message_id: id });
      adopt(started);
      // The row is known, and only its events are news; but a stale end must not hide that it goes on.
      const reply = find(id);
      if (reply && reply.row.value.run_id !== started.run_id) replaceRow(reply, started.reply);
    });

  // What is asked about a part: these throw, and who shows the question shows why it could not be answered.

  const decide = (messageId: number, position: number, decision: Decision) =>
    api.runs.decide({ message_id: messageId, position, ...decision });

  const decidePause = (messageId: number, position: number, goOn: boolean) =>
    api.runs.decide_pause({ message_id: messageId, position, go_on: goOn });

  const answerElicitation = (messageId: number, position: number, answer: FormAnswer) =>
    api.runs.answer_elicitation({ message_id: messageId, position, ...answer });

  /** A reply that came while it was looked at is on the screen, and this is how long that took. */
  async function reportShown(runId: number, shown: Shown): Promise<void> {
    try {
      await api.recordings.shown({ run_id: runId, ...shown });
    } catch (error) {
      // It is of use to who looks into a run later; nobody waits for it now.
      if (!(error instanceof BridgeError)) throw error;
    }
  }

  async function showVersion(id: number): Promise<void> {
    elsewhere.clear();
    problem.value = await withPage(() => api.messages.show_version({ message_id: id }), replaceAll);
  }

  async function act(action: () => Promise<unknown>): Promise<boolean> {
    problem.value = null;
    try {
      await action();
      return true;
    } catch (error) {
      problem.value = asProblem(error);
      return false;
    }
  }

  function find(id: number): MessageState | undefined {
    if (end.value?.id === id) return end.value;
    return delegated.get(id) ?? messages.value.findLast((message) => message.id === id);
  }

  function close(): void {
    clearTimeout(reloadTimer);
    newestLoad += 1;
  }

  return {
    row,
    messages,
    hasMore,
    hasNewer,
    lastAsked,
    found,
    isLoading,
    isSending,
    isDeleted,
    loadProblem,
    problem,
    running,
    isStopping,
    tokens,
    questions,
    apply,
    load,
    loadOlder,
    loadNewer,
    jumpToEnd,
    goTo,
    delegationOf,
    openDelegated,
    loadDelegated,
    questionsIn,
    send,
    steer,
    stop,
    retry,
    askInstead,
    continueReply,
    reportShown,
    showVersion,
    decide,
    decidePause,
    answerElicitation,
    close,
  };
}

/** Everything a reply was billed for; cached input counts as input. */
function tokensOf({ usage }: MessageRow): number {
  if (!usage) return 0;
  return usage.input_tokens + usage.cache_read_tokens + usage.cache_write_tokens + usage.output_tokens;
}

const callOf = ({ row }: MessageState): number => row.peek().call_position ?? 0;

/** Another agent works for this part, or did when the program was closed. */
function isDelegating(part: MessageRow["parts"][number]): boolean {
  return part.kind === "tool_call" && part.is_agent && part.status !== "finished" && part.status !== "failed";
}

/** The message an event is about; 0 for none. */
function messageIdOf(event: AppEvent): number {
  if (event.type === "message_changed") return event.message.id;
  return "message_id" in event ? event.message_id : 0;
}

function withAttachment(row: MessageRow, changed: AttachmentRow): MessageRow {
  if (!row.attachments.some(({ id }) => id === changed.id)) return row;
  const attachments = row.attachments.map((each) => (each.id === changed.id ? changed : each));
  return { ...row, attachments };
}

function textOf({ parts }: MessageRow): string {
  return parts.map((part) => (part.kind === "text" ? part.text : "")).join("");
}

function asProblem(error: unknown): BridgeError {
  if (error instanceof BridgeError) return error;
  throw error;
}
