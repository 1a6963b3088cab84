import { useSignal } from "@preact/signals";
import type { Ref } from "preact";
import { useImperativeHandle, useRef } from "preact/hooks";
import { Code } from "../markdown/Code";
import { continued, type Edit, indented, outdented } from "./typing";

export interface CodeHandle {
  /** Go to a line, selected. */
  show(line: number): void;
}

interface Props {
  handle?: Ref<CodeHandle>;
  id: string;
  language: "python" | "json";
  /** Its name, where no label has its id. */
  label?: string;
  value: string;
  describedBy: string;
  placeholder?: string;
  isWrong?: boolean;
  /** The line where something went wrong. */
  wrongLine?: number | null;
  fewestLines: number;
  onChange(code: string): void;
}

/** Spaces of one step of indentation. */
const STEP = { python: 4, json: 2 };

/**
 * A plain field for code, above the same code in colours: what the keyboard, an input method, Undo and a screen
 * reader meet is the field. It grows with the code, so that only wide lines scroll.
 */
export function CodeField(props: Props) {
  const { handle = null, id, language, label, value, describedBy, isWrong, wrongLine, onChange } = props;
  const field = useRef<HTMLTextAreaElement>(null);
  const colours = useRef<HTMLPreElement>(null);
  // Esc gives Tab back to the keyboard's way through the page, until something is typed.
  const isLeaving = useRef(false);
  // What an input method marks in unfinished text, it marks in the field.
  const isComposing = useSignal(false);
  const lines = Math.max(props.fewestLines, value.split("\n").length);
  const step = STEP[language];
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
      apply((event.shiftKey ? outdented : indented)(value, start, end, step));
      return;
    }
    if (event.key === "Tab" || event.key === "Shift") return;
    isLeaving.current = false;
    if (event.key === "Enter" && !event.shiftKey) {
      event.preventDefault();
      apply(continued(value, start, end, step));
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
      <div class="code-area" data-composing={isComposing.value}>
        <pre ref={colours} class="code-colours" aria-hidden="true">
          <Code code={value} language={language} />
        </pre>
        <textarea
          ref={field}
          id={id}
          class="code-text"
          wrap="off"
          spellcheck={false}
          autocomplete="off"
          autocapitalize="off"
          maxLength={100_000}
          aria-label={label}
          aria-describedby={describedBy}
          aria-invalid={isWrong}
          placeholder={props.placeholder}
          value={value}
          onKeyDown={onKeyDown}
          onCompositionStart={() => {
            isComposing.value = true;
          }}
          onCompositionEnd={() => {
            isComposing.value = false;
          }}
          onBlur={() => {
            isLeaving.current = false;
          }}
          onInput={(event) => onChange(event.currentTarget.value)}
          onScroll={(event) => {
            if (colours.current) colours.current.scrollLeft = event.currentTarget.scrollLeft;
          }}
        />
      </div>
    </div>
  );
}
