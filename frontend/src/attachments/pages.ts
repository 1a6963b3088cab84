/** The pages of a PDF as pictures, beside the socket like every content. */
import type { AttachmentRow } from "../api.gen";
import { BridgeError } from "../bridge";

export interface Page {
  /** To be revoked once it is not shown any more. */
  url: string;
  number: number;
  /** How many pages there are. */
  pages: number;
}

/** Page `number`, from 1 on. Throws BridgeError, or what `signal` was aborted with. */
export async function fetchPage(
  { id, sha256 }: AttachmentRow,
  number: number,
  signal: AbortSignal,
): Promise<Page> {
  const answer = await asked(`/attachments/${id}/pages/${number}?sha256=${sha256.slice(0, 16)}`, signal);
  if (!answer.ok) {
    const { error } = await answer.json();
    throw new BridgeError(error.code, error.message, error.hint, error.retryable);
  }
  const pages = Number(answer.headers.get("deskside-pages"));
  return { url: URL.createObjectURL(await answer.blob()), number, pages };
}

async function asked(address: string, signal: AbortSignal): Promise<Response> {
  try {
    return await fetch(address, { signal });
  } catch {
    signal.throwIfAborted();
    throw new BridgeError("disconnected", "The page could not be loaded.", "Try it again.", true);
  }
}
