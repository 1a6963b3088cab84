import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import type { AttachmentRow } from "../api.gen";
import type { App } from "../app/app";
import { BridgeError } from "../bridge";
import { Code } from "../markdown/Code";
import { Dialog } from "../ui/Dialog";
import { formatBytes, formatCount } from "../ui/format";
import { Problem } from "../ui/Problem";
import { addressOf, kindInWords, kindOf, languageOf, sectionsOf } from "./kinds";
import { PdfPages } from "./PdfPages";

interface Props {
  app: App;
  row: AttachmentRow;
  onClose(): void;
}

/** A file as far as it can be shown: the picture, its pages, or the text that was read out of it. */
export function FilePreview({ app, row, onClose }: Props) {
  const isText = useSignal(false);
  const isPdf = kindOf(row.media_type) === "pdf";
  return (
    <Dialog title={row.name} class="file-preview" onClose={onClose}>
      <p class="muted file-preview-facts">
        {kindInWords(row)} · {formatBytes(row.size_bytes)}
      </p>
      {row.hidden_characters > 0 && (
        <p class="file-preview-facts file-hidden">
          {formatCount(row.hidden_characters)} invisible{" "}
          {row.hidden_characters === 1 ? "character" : "characters"} in it: no model gets to read them.
        </p>
      )}
      {isPdf && (
        <fieldset class="file-views">
          <legend class="visually-hidden">Shown</legend>
          {[false, true].map((each) => (
            <button
              key={String(each)}
              type="button"
              class="button"
              aria-pressed={isText.value === each}
              onClick={() => {
                isText.value = each;
              }}
            >
              {each ? "Text" : "Pages"}
            </button>
          ))}
        </fieldset>
      )}
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: the arrow keys must be able to scroll it. */}
      <div class="file-preview-body" data-testid="file-preview" tabIndex={0}>
        {isPdf && !isText.value ? <PdfPages row={row} /> : <Content app={app} row={row} />}
      </div>
    </Dialog>
  );
}

function Content({ app, row }: Omit<Props, "onClose">) {
  if (kindOf(row.media_type) === "image") return <Picture app={app} row={row} />;
  if (row.text_status === "waiting") return <p class="muted">It is still being read…</p>;
  if (row.text_status === "failed") return <Problem message={row.text_error} />;
  if (row.text_status === "none") {
    return <p class="muted">This kind of file cannot be shown. Models get its name and size.</p>;
  }
  return <TextOf app={app} row={row} />;
}

function Picture({ app, row }: Omit<Props, "onClose">) {
  const isGone = useSignal(false);
  const isWhole = useSignal(false);
  if (isGone.value) {
    return (
      <Problem
        message="This picture cannot be shown: it is damaged, or it was removed from the data folder."
        hint="A backup may still have it."
      />
    );
  }
  return (
    <button
      type="button"
      class="file-zoom"
      aria-pressed={isWhole.value}
      title={isWhole.value ? "Fit into the window" : "Show in full size"}
      onClick={() => {
        isWhole.value = !isWhole.value;
      }}
    >
      <img
        src={addressOf(row)}
        alt={row.name}
        onDragStart={app.dragging.ofAttachment(row)}
        onError={() => {
          isGone.value = true;
        }}
      />
    </button>
  );
}

/** Piece by piece: a book in one piece would hold the window up. */
function TextOf({ app, row }: Omit<Props, "onClose">) {
  const text = useSignal("");
  const next = useSignal<number | null>(0);
  const isLoading = useSignal(false);
  const problem = useSignal<BridgeError | null>(null);
  const more = async () => {
    if (next.value === null || isLoading.value) return;
    isLoading.value = true;
    problem.value = null;
    try {
      const piece = await app.api.attachments.text({ id: row.id, start: next.value });
      text.value += piece.text;
      next.value = piece.next;
    } catch (error) {
      if (!(error instanceof BridgeError)) throw error;
      problem.value = error;
    } finally {
      isLoading.value = false;
    }
  };
  useEffect(() => void more(), [row.id]);
  const isEmpty = text.value.trim() === "" && next.value === null;
  return (
    <>
      {isEmpty ? <p class="muted">No text was found in this file.</p> : <Text row={row} text={text.value} />}
      {problem.value && (
        <Problem
          message={problem.value.message}
          hint={problem.value.hint}
          requestId={problem.value.requestId}
        />
      )}
      {(next.value !== null || problem.value) && (
        <button type="button" class="button file-more" disabled={isLoading.value} onClick={() => void more()}>
          {isLoading.value ? "Loading…" : "Show more"}
        </button>
      )}
    </>
  );
}

function Text({ row, text }: { row: AttachmentRow; text: string }) {
  if (kindOf(row.media_type) === "text") {
    const language = languageOf(row.name);
    return <pre class="file-text">{language ? <Code code={text} language={language} /> : text}</pre>;
  }
  const isTable = row.media_type.includes("spreadsheetml");
  return (
    <>
      {sectionsOf(text).map((section, at) => (
        <section key={at} class="file-section">
          {section.title && <h3>{section.title}</h3>}
          <pre class={isTable ? "file-text" : "file-text prose"}>{section.text}</pre>
        </section>
      ))}
    </>
  );
}
