import type { LucideIcon } from "lucide-preact";
import type { RefObject } from "preact";
import { useEffect, useRef } from "preact/hooks";
import { ignoreRepeat } from "./keys";
import { Popover } from "./Popover";

export interface MenuItem {
  label: string;
  icon: LucideIcon;
  keys?: string;
  isDangerous?: boolean;
  run(): void;
}

interface Props {
  anchor: RefObject<HTMLElement | null>;
  label: string;
  items: MenuItem[];
  onClose(): void;
}

/** A short list of actions; arrow keys move, Enter chooses. */
export function Menu({ anchor, label, items, onClose }: Props) {
  const list = useRef<HTMLDivElement>(null);
  useEffect(() => list.current?.querySelector("button")?.focus(), []);

  const onKeyDown = (event: KeyboardEvent) => {
    const buttons = [...(list.current?.querySelectorAll("button") ?? [])];
    const at = buttons.indexOf(document.activeElement as HTMLButtonElement);
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (event.key === "Tab") onClose();
    if (step === undefined) return;
    event.preventDefault();
    buttons.at((at + step) % buttons.length)?.focus();
  };

  return (
    <Popover anchor={anchor} placement="bottom-end" role="menu" label={label} class="menu" onClose={onClose}>
      <div ref={list} role="none" onKeyDown={onKeyDown}>
        {items.map(({ label, icon: Icon, keys, isDangerous, run }) => (
          <button
            key={label}
            type="button"
            role="menuitem"
            class={`menu-item ${isDangerous ? "danger" : ""}`}
            onKeyDown={ignoreRepeat}
            onClick={() => {
              onClose();
              run();
            }}
          >
            <Icon size={16} strokeWidth={1.75} aria-hidden="true" />
            <span>{label}</span>
            {keys && <kbd>{keys}</kbd>}
          </button>
        ))}
      </div>
    </Popover>
  );
}
