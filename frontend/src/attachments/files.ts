/**
 * The files put to what is typed, per conversation; `null` is the chat that does not exist yet.
 *
 * Python keeps those that arrived, so they outlive the window. One that could not be sent stays here with the
 * reason, until it is tried again or taken off.
 */
import { type Signal, signal } from "@preact/signals";
import type { AttachmentRow, Commands } from "../api.gen";
import { BridgeError } from "../bridge";
import { upload as overHttp, type Upload } from "./upload";

export type Files = ReturnType<typeof createFiles>;

/** One file: on its way (`part` of it was sent), refused (`problem`), or there (`row`). */
export interface DraftFile {
  readonly key: number;
  readonly name: string;
  readonly sizeBytes: number;
  readonly row: AttachmentRow | null;
  readonly part: number;
  readonly problem: BridgeError | null;
}

interface Sending {
  file: File;
  abort: AbortController;
}

/** Of one question, as Python takes them. */
export const MOST_FILES = 100;

export function createFiles(api: Pick<Commands, "attachments">, upload: Upload = overHttp) {
  const lists = new Map<number | null, Signal<DraftFile[]>>();
  const sending = new Map<number, Sending>();
  /** News of files whose arrival is still to be heard of: events and uploads come by ways of their own. */
  const early = new Map<number, AttachmentRow>();
  const queue: { id: number | null; key: number }[] = [];
  let lastKey = 0;
  let isBusy = false;

  /** The files of a draft; what Python has of it is asked for the first time. */
  function of(id: number | null): Signal<DraftFile[]> {
    let list = lists.get(id);
    if (!list) {
      list = signal<DraftFile[]>([]);
      lists.set(id, list);
      void load(id);
    }
    return list;
  }

  async function load(id: number | null): Promise<void> {
    const list = of(id);
    try {
      const rows = await api.attachments.draft({ conversation_id: id });
      const known = new Map(list.value.map((file) => [file.row?.id, file]));
      const there = rows.map((row) => ({ ...(known.get(row.id) ?? arrived(row)), row }));
      const ids = new Set(rows.map((row) => row.id));
      // What arrived while this was under way is not in it.
      list.value = [
        ...there,
        ...list.value.filter(({ row }) => !row || (!ids.has(row.id) && row.id > newest(rows))),
      ];
    } catch (error) {
      // The socket dropped, or the conversation is gone; the next reset asks again.
      if (!(error instanceof BridgeError)) throw error;
    }
  }

  const arrived = (row: AttachmentRow): DraftFile => ({
    key: ++lastKey,
    name: row.name,
    sizeBytes: row.size_bytes,
    row,
    part: 1,
    problem: null,
  });

  /** Events were missed: ask again for what is shown. */
  async function reload(): Promise<void> {
    await Promise.all([...lists.keys()].map(load));
  }

  /** Returns how many were left out, because a question takes no more. */
  function add(id: number | null, chosen: File[]): number {
    const list = of(id);
    const taken = chosen.slice(0, Math.max(0, MOST_FILES - list.value.length));
    const added = taken.map((file): DraftFile => {
      const key = ++lastKey;
      sending.set(key, { file, abort: new AbortController() });
      queue.push({ id, key });
      return { key, name: file.name, sizeBytes: file.size, row: null, part: 0, problem: null };
    });
    list.value = [...list.value, ...added];
    sendNext();
    return chosen.length - taken.length;
  }

  function retry(id: number | null, key: number): void {
    const sent = sending.get(key);
    if (!sent) return;
    sent.abort = new AbortController();
    change(id, key, { problem: null, part: 0 });
    queue.push({ id, key });
    sendNext();
  }

  /** Take a file off, or stop sending it. */
  async function remove(id: number | null, key: number): Promise<void> {
    const list = of(id);
    const file = list.value.find((file) => file.key === key);
    list.value = list.value.filter((file) => file.key !== key);
    sending.get(key)?.abort.abort();
    sending.delete(key);
    if (!file?.row) return;
    try {
      await api.attachments.detach({ id: file.row.id });
    } catch (error) {
      if (!(error instanceof BridgeError)) throw error;
      // It is still there: show it again, unless it went with a question or by another hand.
      if (error.code !== "not_found") await load(id);
    }
  }

  /** They belong to a question now. */
  function sent(id: number | null, ids: number[]): void {
    const list = of(id);
    list.value = list.value.filter(({ row }) => !row || !ids.includes(row.id));
  }

  /** The text of an attachment was read, or could not be. */
  function update(row: AttachmentRow): void {
    if (sending.size > 0) early.set(row.id, row);
    for (const list of lists.values()) {
      if (!list.value.some((file) => file.row?.id === row.id)) continue;
      list.value = list.value.map((file) => (file.row?.id === row.id ? { ...file, row } : file));
    }
  }

  function change(id: number | null, key: number, changes: Partial<DraftFile>): void {
    const list = of(id);
    list.value = list.value.map((file) => (file.key === key ? { ...file, ...changes } : file));
  }

  /** One after the other: Python keeps them in the order in which they arrive. */
  function sendNext(): void {
    while (!isBusy && queue.length > 0) {
      const next = queue.shift();
      if (next && sending.has(next.key)) void send(next.id, next.key);
    }
  }

  function arrive(id: number | null, key: number, row: AttachmentRow): void {
    const news = early.get(row.id);
    const newest = news?.sha256 === row.sha256 ? news : row;
    change(id, key, { row: newest, part: 1, name: row.name, sizeBytes: row.size_bytes });
    if (sending.size === 0) early.clear();
  }

  async function send(id: number | null, key: number): Promise<void> {
    const { file, abort } = sending.get(key) as Sending;
    isBusy = true;
    try {
      const row = await upload(file, {
        conversationId: id,
        signal: abort.signal,
        onProgress: (part) => change(id, key, { part }),
      });
      if (sending.delete(key)) arrive(id, key, row);
      // It was taken off in the very moment in which it arrived.
      else await api.attachments.detach({ id: row.id });
    } catch (error) {
      if (!(error instanceof BridgeError)) throw error;
      if (error.code !== "cancelled") change(id, key, { problem: error });
    } finally {
      isBusy = false;
      sendNext();
    }
  }

  return { of, add, retry, remove, sent, update, reload };
}

const newest = (rows: AttachmentRow[]): number => Math.max(0, ...rows.map(({ id }) => id));

export const isSending = (file: DraftFile): boolean => file.row === null && file.problem === null;
