/** The keys of a menu in which one choice is marked: the marked one has the focus first, arrow keys move. */
import { useEffect, useRef } from "preact/hooks";

export function useMenuKeys(onClose: () => void) {
  const list = useRef<HTMLDivElement>(null);
  const buttons = () => [...(list.current?.querySelectorAll("button") ?? [])];
  useEffect(() => {
    const all = buttons();
    (all.find((button) => button.getAttribute("aria-checked") === "true") ?? all[0])?.focus();
  }, []);
  const onKeyDown = (event: KeyboardEvent) => {
    if (event.key === "Tab") onClose();
    const all = buttons();
    const at = all.indexOf(document.activeElement as HTMLButtonElement);
    const next = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: all.length - 1 }[event.key];
    if (next === undefined) return;
    event.preventDefault();
    all.at(next % all.length)?.focus();
  };
  return { list, onKeyDown };
}
