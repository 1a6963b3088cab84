import type { Ref } from "preact";
import { useImperativeHandle, useRef } from "preact/hooks";
import { continued, type Edit, indented, outdented } from "./typing";

export interface CodeHandle {
  /** Go to a line, selected. */
  show(line: number): void;
}

interface Props {
  handle: Ref<CodeHandle>;
  id: string;
  value: string;
  describedBy: string;
  /** The line where something went wrong. */
  wrongLine: number | null;
  onChange(code: string): void;
}

const FEWEST_LINES = 10;

/** A plain field for Python: it grows with the code, so that the numbers beside it need no scrolling. */
export function CodeField({ handle, id, value, describedBy, wrongLine, onChange }: Props) {
  const field = useRef<HTMLTextAreaElement>(null);
  // Esc gives Tab back to the keyboard's way through the page, until something is typed.
  const isLeaving = useRef(false);
  const lines = Math.max(FEWEST_LINES, value.split("\n").length);
  useImperativeHandle(handle, () => ({
    show(line) {
      const before = value.split("\n").slice(0, line - 1);
      const start = before.join("\n").length + (line > 1 ? 1 : 0);
      const newline = value.indexOf("\n", start);
      field.current?.focus();
      field.current?.setSelectionRange(start, newline === -1 ? value.length : newline);
    },
  }));

  const apply = (edit: Edit) => {
    const area = field.current;
    if (!area) return;
    area.setSelectionRange(edit.from, edit.to);
    // The one way to change the text that Undo knows about; it is old, and engines without it get the other.
    if (!document.execCommand?.("insertText", false, edit.text)) {
      area.setRangeText(edit.text, edit.from, edit.to, "end");
      onChange(area.value);
    }
    area.setSelectionRange(edit.start, edit.end);
  };
  const onKeyDown = (event: KeyboardEvent) => {
    const area = field.current;
    if (!area || event.isComposing || event.ctrlKey || event.metaKey || event.altKey) return;
    const { selectionStart: start, selectionEnd: end } = area;
    if (event.key === "Escape") {
      isLeaving.current = true;
      return;
    }
    if (event.key === "Tab" && !isLeaving.current) {
      event.preventDefault();
      apply(event.shiftKey ? outdented(value, start, end) : indented(value, start, end));
      return;
    }
    if (event.key === "Tab" || event.key === "Shift") return;
    isLeaving.current = false;
    if (event.key === "Enter" && !event.shiftKey) {
      event.preventDefault();
      apply(continued(value, start, end));
    }
  };
  return (
    <div class="code-field">
      <div class="code-lines" aria-hidden="true">
        {Array.from({ length: lines }, (_, line) => (
          <span key={line} data-wrong={line + 1 === wrongLine}>
            {line + 1}
          </span>
        ))}
      </div>
      <textarea
        ref={field}
        id={id}
        class="code-text"
        rows={lines}
        wrap="off"
        spellcheck={false}
        autocomplete="off"
        autocapitalize="off"
        maxLength={100_000}
        aria-describedby={describedBy}
        value={value}
        onKeyDown={onKeyDown}
        onBlur={() => {
          isLeaving.current = false;
        }}
        onInput={(event) => onChange(event.currentTarget.value)}
      />
    </div>
  );
}
