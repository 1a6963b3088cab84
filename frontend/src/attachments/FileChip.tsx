import { useSignal } from "@preact/signals";
import type { LucideIcon } from "lucide-preact";
import {
  CircleAlert,
  File,
  FileSpreadsheet,
  FileText,
  Image,
  Presentation,
  RotateCcw,
  X,
} from "lucide-preact";
import type { AttachmentRow } from "../api.gen";
import { formatBytes } from "../ui/format";
import { IconButton } from "../ui/IconButton";
import type { DraftFile } from "./files";
import { addressOf, kindInWords, kindOf } from "./kinds";

interface ChipProps {
  row: AttachmentRow;
  onOpen(): void;
  onRemove?(): void;
  /** The window can hand the file on. */
  onDragStart?: ((event: DragEvent) => void) | undefined;
}

/** A file that was sent, or waits to be. */
export function FileChip({ row, onOpen, onRemove, onDragStart }: ChipProps) {
  return (
    <li class="file-chip" data-testid="attachment" data-status={row.text_status}>
      <button
        type="button"
        class="file-open"
        title={row.name}
        draggable={onDragStart !== undefined}
        onClick={onOpen}
        onDragStart={onDragStart}
      >
        <Picture row={row} />
        <span class="file-words">
          <bdi class="file-name">{row.name}</bdi>
          <span class="file-facts">{factsOf(row)}</span>
        </span>
      </button>
      {onRemove && (
        <IconButton icon={X} class="file-remove" label={`Remove ${row.name}`} onClick={onRemove} />
      )}
    </li>
  );
}

interface SendingProps {
  file: DraftFile;
  onRetry(): void;
  onRemove(): void;
}

/** A file on its way to Python, or that did not get there. */
export function SendingChip({ file, onRetry, onRemove }: SendingProps) {
  const { name, problem, part, sizeBytes } = file;
  if (problem) {
    return (
      <li class="file-chip" data-testid="attachment" data-status="refused">
        <div class="file-open" title={`${problem.message} ${problem.hint}`}>
          <CircleAlert class="file-icon" size={20} strokeWidth={1.75} aria-hidden="true" />
          <span class="file-words" role="alert">
            <bdi class="file-name">{name}</bdi>
            <span class="file-facts">{problem.message}</span>
          </span>
        </div>
        <IconButton icon={RotateCcw} label={`Retry ${name}`} onClick={onRetry} />
        <IconButton icon={X} class="file-remove" label={`Remove ${name}`} onClick={onRemove} />
      </li>
    );
  }
  return (
    <li class="file-chip" data-testid="attachment" data-status="sending">
      <div class="file-open" title={name}>
        <FileText class="file-icon" size={20} strokeWidth={1.75} aria-hidden="true" />
        <span class="file-words">
          <bdi class="file-name">{name}</bdi>
          <span class="file-facts">
            {Math.round(part * 100)} % of {formatBytes(sizeBytes)}
          </span>
        </span>
        <progress class="file-progress" aria-label={`Adding ${name}`} max={1} value={part} />
      </div>
      <IconButton icon={X} class="file-remove" label={`Stop adding ${name}`} onClick={onRemove} />
    </li>
  );
}

function factsOf(row: AttachmentRow): string {
  if (row.text_status === "waiting") return "Reading…";
  const size = formatBytes(row.size_bytes);
  return row.text_status === "failed" ? `${size} · no text found` : size;
}

function Picture({ row }: { row: AttachmentRow }) {
  const isBroken = useSignal(false);
  if (kindOf(row.media_type) === "image" && !isBroken.value) {
    return (
      <img
        class="file-picture"
        src={addressOf(row)}
        alt=""
        loading="lazy"
        onError={() => {
          isBroken.value = true;
        }}
      />
    );
  }
  const Icon = iconOf(row);
  return <Icon class="file-icon" size={20} strokeWidth={1.75} aria-label={kindInWords(row)} />;
}

function iconOf({ media_type }: AttachmentRow): LucideIcon {
  if (media_type.includes("spreadsheetml")) return FileSpreadsheet;
  if (media_type.includes("presentationml")) return Presentation;
  const kind = kindOf(media_type);
  if (kind === "image") return Image;
  return kind === "other" ? File : FileText;
}
