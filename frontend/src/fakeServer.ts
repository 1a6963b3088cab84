/** Python's end of the bridge, for tests: answers commands from a table and publishes events. */
import type { AppEvent } from "./api.gen";
import { Bridge, type BridgeOptions } from "./bridge";

interface CallFrame {
  t: "call" | "cancel";
  id: number;
  cmd: string;
  params: Record<string, unknown>;
  requestId: string;
}

/** What a command answers; throw a `Refusal` to answer with an error. */
export type Answer = (params: Record<string, unknown>) => unknown;

export class Refusal extends Error {
  constructor(
    readonly code: string,
    message: string,
    readonly hint = "",
    readonly retryable = false,
  ) {
    super(message);
  }
}

export class FakeSocket {
  onmessage: ((message: { data: string }) => void) | null = null;
  onclose: (() => void) | null = null;
  readonly sent: CallFrame[] = [];

  constructor(
    readonly url: string,
    private readonly onCall: (socket: FakeSocket, frame: CallFrame) => void,
  ) {}

  send(text: string): void {
    const frame = JSON.parse(text) as CallFrame;
    this.sent.push(frame);
    if (frame.t === "call") this.onCall(this, frame);
  }

  receive(frame: unknown): void {
    this.onmessage?.({ data: JSON.stringify(frame) });
  }

  close(): void {
    this.onclose?.();
  }
}

export class FakeServer {
  readonly sockets: FakeSocket[] = [];
  readonly calls: { cmd: string; params: Record<string, unknown> }[] = [];
  last = 0;

  constructor(readonly answers: Record<string, Answer> = {}) {}

  /** A bridge to this server. It is connected after `hello()`, as a real one is. */
  bridge(options: Partial<BridgeOptions> = {}): Bridge {
    return new Bridge({
      url: "ws://test/bridge",
      onEvents: () => {},
      onReset: () => {},
      onFault: () => {},
      openSocket: (url) => {
        const socket = new FakeSocket(url, (from, frame) => this.#answer(from, frame));
        this.sockets.push(socket);
        return socket as unknown as WebSocket;
      },
      ...options,
    });
  }

  get socket(): FakeSocket {
    const socket = this.sockets.at(-1);
    if (!socket) throw new Error("nobody has connected");
    return socket;
  }

  hello(reset = false): void {
    this.socket.receive({ t: "hello", epoch: "e1", n: this.last, reset });
  }

  publish(...events: AppEvent[]): void {
    this.last += events.length;
    this.socket.receive({ t: "event", n: this.last, events });
  }

  params(cmd: string): Record<string, unknown>[] {
    return this.calls.filter((call) => call.cmd === cmd).map((call) => call.params);
  }

  #answer(socket: FakeSocket, { id, cmd, params, requestId }: CallFrame): void {
    this.calls.push({ cmd, params });
    const answer = this.answers[cmd];
    // A command that is not in the table is never answered, like one that still runs.
    if (!answer) return;
    queueMicrotask(async () => {
      try {
        socket.receive({ t: "ok", id, data: (await answer(params)) ?? null, requestId });
      } catch (error) {
        if (!(error instanceof Refusal)) throw error;
        const { code, message, hint, retryable } = error;
        socket.receive({ t: "err", id, error: { code, message, hint, retryable, requestId } });
      }
    });
  }
}
