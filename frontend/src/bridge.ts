/** The transport: one WebSocket, typed by the generated client. */

export interface CallOptions {
  signal?: AbortSignal;
}

export type Call = <T>(command: string, params: unknown, options?: CallOptions) => Promise<T>;
export type Stream = <T>(command: string, params: unknown, options?: CallOptions) => AsyncIterable<T>;
