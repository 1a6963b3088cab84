import { type Signal, useSignal } from "@preact/signals";
import { CircleHelp, Search as SearchIcon, X } from "lucide-preact";
import type { RefObject } from "preact";
import { useRef } from "preact/hooks";
import { SHORTCUTS } from "../app/keyboard";
import { IconButton } from "../ui/IconButton";
import { SearchHelp } from "./SearchHelp";
import { LONGEST_TEXT, type Search } from "./search";

interface Props {
  search: Search;
  field: RefObject<HTMLInputElement | null>;
  /** Into the results. */
  onDown(): void;
  onEnter(): void;
}

export function SearchField({ search, field, onDown, onEnter }: Props) {
  const isHelpOpen: Signal<boolean> = useSignal(false);
  const help = useRef<HTMLButtonElement>(null);

  const onKeyDown = (event: KeyboardEvent) => {
    if (event.isComposing) return;
    if (event.key === "ArrowDown") onDown();
    else if (event.key === "Enter") onEnter();
    else if (event.key === "Escape" && search.isActive.value) search.clear();
    else if (event.key === "Escape") field.current?.blur();
    else return;
    event.preventDefault();
  };
  const clear = () => {
    search.clear();
    field.current?.focus();
  };

  return (
    <search class="search-field">
      <SearchIcon size={16} strokeWidth={1.75} aria-hidden="true" />
      <input
        ref={field}
        type="text"
        enterkeyhint="search"
        autocomplete="off"
        spellcheck={false}
        data-testid="search-input"
        aria-label="Search all conversations"
        aria-controls={search.isActive.value ? "search-results" : undefined}
        placeholder="Search"
        title={`${SHORTCUTS.search.label} (${SHORTCUTS.search.keys})`}
        maxLength={LONGEST_TEXT}
        value={search.text.value}
        onInput={(event) => search.type(event.currentTarget.value)}
        onKeyDown={onKeyDown}
      />
      {search.text.value !== "" && <IconButton icon={X} label="Clear the search" onClick={clear} />}
      <IconButton
        buttonRef={help}
        icon={CircleHelp}
        label="How to search"
        aria-haspopup="dialog"
        aria-expanded={isHelpOpen.value}
        onClick={() => {
          isHelpOpen.value = !isHelpOpen.value;
        }}
      />
      {isHelpOpen.value && (
        <SearchHelp
          anchor={help}
          onClose={() => {
            isHelpOpen.value = false;
          }}
          onUse={(example) => {
            isHelpOpen.value = false;
            const typed = search.text.value.trimEnd();
            search.type(typed ? `${typed} ${example}` : example);
            field.current?.focus();
          }}
        />
      )}
    </search>
  );
}
