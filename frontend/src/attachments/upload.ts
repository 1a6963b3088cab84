/** Sends a file to Python, beside the socket: its frames are JSON, and a large file would hold all else up. */
import type { AttachmentRow } from "../api.gen";
import { BridgeError } from "../bridge";

export interface UploadOptions {
  /** null: to what is typed for the conversation that does not exist yet. */
  conversationId: number | null;
  signal: AbortSignal;
  /** `part` goes from 0 to 1. */
  onProgress(part: number): void;
}

export type Upload = (file: File, options: UploadOptions) => Promise<AttachmentRow>;

/** Throws BridgeError; with the code `cancelled` where `signal` was the reason. */
export const upload: Upload = (file, { conversationId, signal, onProgress }) =>
  new Promise((resolve, reject) => {
    const query = new URLSearchParams({ name: file.name });
    if (conversationId !== null) query.set("conversation", String(conversationId));
    // fetch() does not tell how much was sent.
    const request = new XMLHttpRequest();
    request.open("POST", `/attachments/?${query}`);
    request.upload.onprogress = ({ loaded, total }) => onProgress(total > 0 ? loaded / total : 0);
    request.onload = () => {
      const answer = read(request.responseText);
      if (request.status === 200 && answer && "id" in answer) resolve(answer);
      else reject(answer && "error" in answer ? refusal(answer.error) : unreachable());
    };
    // Also where the file cannot be read (any more): the browser tells no difference.
    request.onerror = () => reject(unreachable());
    request.onabort = () => reject(new BridgeError("cancelled", "The file was taken off."));
    signal.addEventListener("abort", () => request.abort(), { once: true });
    request.send(file);
  });

interface ErrorBody {
  code: string;
  message: string;
  hint: string;
  retryable: boolean;
}

function read(text: string): AttachmentRow | { error: ErrorBody } | null {
  try {
    return JSON.parse(text) as AttachmentRow | { error: ErrorBody };
  } catch {
    return null;
  }
}

const refusal = ({ code, message, hint, retryable }: ErrorBody) =>
  new BridgeError(code, message, hint, retryable);

const unreachable = () =>
  new BridgeError(
    "disconnected",
    "The file could not be read or sent.",
    "Check that it is still there and that you may read it.",
    true,
  );
