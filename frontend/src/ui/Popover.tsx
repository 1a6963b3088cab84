import { autoUpdate, computePosition, flip, offset, type Placement, shift, size } from "@floating-ui/dom";
import type { ComponentChildren, RefObject } from "preact";
import { useEffect, useLayoutEffect, useRef } from "preact/hooks";

interface Props {
  anchor: RefObject<HTMLElement | null>;
  placement: Placement;
  label: string;
  role: "dialog" | "menu";
  class?: string;
  onClose(): void;
  children: ComponentChildren;
}

/**
 * A panel beside its button. Escape and a press elsewhere close it; the focus then goes back to the
 * button, unless the user has put it somewhere else.
 */
export function Popover({ anchor, placement, label, role, class: extra, onClose, children }: Props) {
  const panel = useRef<HTMLDivElement>(null);

  useLayoutEffect(() => {
    const [button, floating] = [anchor.current, panel.current];
    if (!button || !floating) return;
    return autoUpdate(button, floating, async () => {
      const { x, y } = await computePosition(button, floating, {
        placement,
        strategy: "fixed",
        middleware: [
          offset(6),
          flip(),
          shift({ padding: 8 }),
          size({
            padding: 8,
            apply: ({ availableHeight }) => {
              floating.style.maxHeight = `${Math.min(availableHeight, 480)}px`;
            },
          }),
        ],
      });
      Object.assign(floating.style, { left: `${x}px`, top: `${y}px` });
    });
  }, [anchor, placement]);

  useEffect(() => {
    const button = anchor.current;
    const floating = panel.current;
    const closeOutside = (event: Event) => {
      const target = event.target as Node;
      if (!floating?.contains(target) && !button?.contains(target)) onClose();
    };
    document.addEventListener("pointerdown", closeOutside);
    return () => {
      document.removeEventListener("pointerdown", closeOutside);
      const focused = document.activeElement;
      if (!focused || focused === document.body || floating?.contains(focused)) button?.focus();
    };
  }, [anchor, onClose]);

  const onKeyDown = (event: KeyboardEvent) => {
    if (event.key !== "Escape") return;
    // Escape closes one thing at a time.
    event.preventDefault();
    event.stopPropagation();
    onClose();
  };

  return (
    // biome-ignore lint/a11y/noStaticElementInteractions: the role comes as a prop.
    // biome-ignore lint/a11y/useAriaPropsSupportedByRole: both roles take a label.
    <div
      ref={panel}
      class={`popover ${extra ?? ""}`}
      role={role}
      aria-label={label}
      tabIndex={-1}
      onKeyDown={onKeyDown}
    >
      {children}
    </div>
  );
}
