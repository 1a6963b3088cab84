/**
 * The transport: one WebSocket, typed by the generated client.
 *
 * - A call made while the socket is down waits for it, at most WAIT_MS; a call that was sent when it
 *   dropped fails with code `disconnected`, because nobody knows whether it was carried out.
 * - Events resume where they stopped: the next socket names the epoch and the last number seen. When
 *   Python no longer has them, `hello.reset` says so and the page must load its state again.
 * - Every call carries a request id made here, so that a fault can be found in the log by it.
 */
import { signal } from "@preact/signals";
import type { AppEvent } from "./api.gen";

export interface CallOptions {
  signal?: AbortSignal;
}

export type Call = <T>(command: string, params: unknown, options?: CallOptions) => Promise<T>;
export type Stream = <T>(command: string, params: unknown, options?: CallOptions) => AsyncIterable<T>;

interface ErrorBody {
  code: string;
  message: string;
  hint: string;
  retryable: boolean;
  requestId: string;
  /** Python could not read the request, so the page is wrong; only there where it is true. */
  isMalformed?: true;
}

type Frame =
  | { t: "hello"; epoch: string; n: number; reset: boolean }
  | { t: "ok" | "next"; id: number; data: unknown }
  | { t: "done"; id: number }
  | { t: "err"; id: number | null; error: ErrorBody }
  | { t: "event"; n: number; events: AppEvent[] };

interface Pending {
  command: string;
  frame: string;
  isSent: boolean;
  timer: ReturnType<typeof setTimeout>;
  next(data: unknown): void;
  end(data: unknown): void;
  fail(error: BridgeError): void;
}

export interface BridgeOptions {
  url: string;
  onEvents(events: AppEvent[], n: number): void;
  /** Events were missed: load the state again. */
  onReset(): void;
  /** Python has a bug, or sent what we cannot read; the caller has been told, the log has not. */
  onFault(command: string, error: BridgeError): void;
  openSocket?(url: string): WebSocket;
}

const FIRST_DELAY_MS = 100;
const LAST_DELAY_MS = 5_000;
// Longer than the slowest back-off, so that a call outlives two attempts.
const WAIT_MS = 12_000;

/** `code` is one of errors.py's, or `disconnected` when the socket dropped. */
export class BridgeError extends Error {
  override readonly name = "BridgeError";

  constructor(
    readonly code: string,
    message: string,
    readonly hint = "",
    readonly retryable = false,
    readonly requestId = "",
  ) {
    super(message);
  }
}

export class Bridge {
  readonly isConnected = signal(false);
  readonly #options: BridgeOptions;
  readonly #calls = new Map<number, Pending>();
  #socket: WebSocket | null = null;
  #lastId = 0;
  #epoch = "";
  #after = 0;
  #delayMs = FIRST_DELAY_MS;
  #reconnect: ReturnType<typeof setTimeout> | undefined;

  constructor(options: BridgeOptions) {
    this.#options = options;
  }

  /** Open the socket now; also the way to cut a waiting reconnect short. */
  connect(): void {
    clearTimeout(this.#reconnect);
    if (this.#socket) return;
    const resume = this.#epoch ? `?epoch=${encodeURIComponent(this.#epoch)}&after=${this.#after}` : "";
    const open = this.#options.openSocket ?? ((url) => new WebSocket(url));
    const socket = open(this.#options.url + resume);
    this.#socket = socket;
    socket.onmessage = (message) => this.#receive(String(message.data));
    socket.onclose = () => this.#dropped();
  }

  readonly call: Call = <T>(command: string, params: unknown, options?: CallOptions) =>
    new Promise<T>((resolve, reject) => {
      const next = () => {};
      this.#start(
        command,
        params,
        { next, end: resolve as (data: unknown) => void, fail: reject },
        options?.signal,
      );
    });

  /** Leaving the loop early cancels the command. */
  readonly stream: Stream = async function* <T>(
    this: Bridge,
    command: string,
    params: unknown,
    options?: CallOptions,
  ): AsyncGenerator<T> {
    const arrived: T[] = [];
    let wake = () => {};
    let ended = false;
    let failure: BridgeError | null = null;
    const cancel = this.#start(
      command,
      params,
      {
        next: (data) => {
          arrived.push(data as T);
          wake();
        },
        end: () => {
          ended = true;
          wake();
        },
        fail: (error) => {
          failure = error;
          wake();
        },
      },
      options?.signal,
    );
    try {
      while (true) {
        yield* arrived.splice(0);
        if (failure) throw failure;
        if (ended) return;
        // What came while the reader was busy is already in `arrived`.
        if (arrived.length === 0) await new Promise<void>((resolve) => (wake = resolve));
      }
    } finally {
      if (!ended && !failure) cancel();
    }
  }.bind(this) as Stream;

  #start(
    command: string,
    params: unknown,
    answer: Pick<Pending, "next" | "end" | "fail">,
    abort?: AbortSignal,
  ): () => void {
    const id = ++this.#lastId;
    const cancel = () => this.#cancel(id);
    if (abort?.aborted) {
      answer.fail(new BridgeError("cancelled", "The call was cancelled."));
      return cancel;
    }
    const requestId = newRequestId();
    const frame = JSON.stringify({ t: "call", id, cmd: command, params: params ?? {}, requestId });
    const timer = setTimeout(() => this.#take(id)?.fail(disconnected(requestId)), WAIT_MS);
    abort?.addEventListener("abort", cancel, { once: true });
    this.#calls.set(id, { command, frame, isSent: false, timer, ...answer });
    if (this.isConnected.value) this.#send(id);
    return cancel;
  }

  #send(id: number): void {
    const pending = this.#calls.get(id);
    if (!pending || pending.isSent) return;
    clearTimeout(pending.timer);
    pending.isSent = true;
    this.#socket?.send(pending.frame);
  }

  #cancel(id: number): void {
    const pending = this.#take(id);
    if (!pending) return;
    if (pending.isSent) this.#socket?.send(JSON.stringify({ t: "cancel", id }));
    pending.fail(new BridgeError("cancelled", "The call was cancelled."));
  }

  #take(id: number): Pending | undefined {
    const pending = this.#calls.get(id);
    this.#calls.delete(id);
    clearTimeout(pending?.timer);
    return pending;
  }

  #receive(text: string): void {
    const frame = JSON.parse(text) as Frame;
    switch (frame.t) {
      case "hello":
        this.#greeted(frame);
        return;
      case "event":
        this.#after = frame.n;
        this.#options.onEvents(frame.events, frame.n);
        return;
      case "next":
        this.#calls.get(frame.id)?.next(frame.data);
        return;
      case "ok":
        this.#take(frame.id)?.end(frame.data);
        return;
      case "done":
        this.#take(frame.id)?.end(undefined);
        return;
      case "err":
        this.#failed(frame.id, frame.error);
        return;
      default:
        frame satisfies never;
    }
  }

  #greeted(hello: Extract<Frame, { t: "hello" }>): void {
    const isFirst = this.#epoch === "";
    if (isFirst || hello.reset) this.#after = hello.n;
    this.#epoch = hello.epoch;
    this.#delayMs = FIRST_DELAY_MS;
    this.isConnected.value = true;
    for (const id of this.#calls.keys()) this.#send(id);
    if (hello.reset && !isFirst) this.#options.onReset();
  }

  #failed(id: number | null, body: ErrorBody): void {
    const error = new BridgeError(body.code, body.message, body.hint, body.retryable, body.requestId);
    const pending = id === null ? undefined : this.#take(id);
    if (!pending && id !== null && body.code === "cancelled") return; // its reader has left already
    if (!pending || body.code === "internal" || body.isMalformed) {
      this.#options.onFault(pending?.command ?? "bridge", error);
    }
    pending?.fail(error);
  }

  #dropped(): void {
    this.#socket = null;
    this.isConnected.value = false;
    for (const [id, pending] of this.#calls) {
      if (pending.isSent) this.#take(id)?.fail(disconnected(""));
    }
    this.#reconnect = setTimeout(() => this.connect(), this.#delayMs);
    this.#delayMs = Math.min(this.#delayMs * 2, LAST_DELAY_MS);
  }
}

function disconnected(requestId: string): BridgeError {
  return new BridgeError(
    "disconnected",
    "The connection to Deskside was lost.",
    "It reconnects by itself. Try again in a moment.",
    true,
    requestId,
  );
}

function newRequestId(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(6));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
