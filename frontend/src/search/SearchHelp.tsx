import type { RefObject } from "preact";
import { useEffect, useRef } from "preact/hooks";
import { Popover } from "../ui/Popover";

const SYNTAX: { example: string; meaning: string }[] = [
  { example: '"exact phrase"', meaning: "these words in this order" },
  { example: "begin*", meaning: "words that begin so" },
  { example: "-word", meaning: "without this word" },
  { example: "role:user", meaning: "what you wrote, or role:assistant" },
  { example: "has:code", meaning: "with code, or has:file, has:tool" },
  { example: "after:2026-01-31", meaning: "since a day, or 2026-01, 7d, today" },
  { example: "before:2026-02", meaning: "earlier than a day, month or year" },
  { example: "agent:name", meaning: "answers of an agent" },
  { example: "model:name", meaning: "answers of a model" },
  { example: "in:folder", meaning: "in a folder" },
  { example: "is:pinned", meaning: "pinned, or is:archived" },
];

interface Props {
  anchor: RefObject<HTMLElement | null>;
  onClose(): void;
  onUse(example: string): void;
}

/** What can be typed besides words; pressing a line types it. */
export function SearchHelp({ anchor, onClose, onUse }: Props) {
  const list = useRef<HTMLUListElement>(null);
  useEffect(() => list.current?.querySelector("button")?.focus(), []);
  return (
    <Popover
      anchor={anchor}
      placement="bottom-start"
      role="dialog"
      label="How to search"
      class="search-help"
      onClose={onClose}
    >
      <p class="muted">Messages with all words you type are found. You can narrow them down:</p>
      <ul ref={list}>
        {SYNTAX.map(({ example, meaning }) => (
          <li key={example}>
            <button type="button" onClick={() => onUse(example)}>
              <code>{example}</code>
              <span class="muted">{meaning}</span>
            </button>
          </li>
        ))}
      </ul>
      <p class="muted">A minus sign in front of a filter turns it round: -role:user</p>
    </Popover>
  );
}
