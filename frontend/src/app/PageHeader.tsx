import type { Signal } from "@preact/signals";
import { PanelLeft } from "lucide-preact";
import type { ComponentChildren } from "preact";
import { IconButton } from "../ui/IconButton";
import { SHORTCUTS } from "./keyboard";

export interface SidebarState {
  isOpen: Signal<boolean>;
  isNarrow: boolean;
}

interface Props {
  /** Left out where the page has a large title of its own. */
  title?: string | undefined;
  sidebar: SidebarState;
  children?: ComponentChildren;
}

/** The line above each page: the sidebar's switch, the title, and what belongs to the page. */
export function PageHeader({ title, sidebar, children }: Props) {
  const { isOpen } = sidebar;
  return (
    <header class="page-header">
      <IconButton
        icon={PanelLeft}
        label={isOpen.value ? "Hide the sidebar" : "Show the sidebar"}
        keys={SHORTCUTS.sidebar.keys}
        aria-expanded={isOpen.value}
        aria-controls="sidebar"
        onClick={() => {
          isOpen.value = !isOpen.value;
        }}
      />
      {title ? <h1 class="page-title">{title}</h1> : <span class="page-title" />}
      {children}
    </header>
  );
}
