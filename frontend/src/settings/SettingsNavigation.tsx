import {
  Activity,
  AppWindow,
  Bot,
  ChartColumn,
  Cpu,
  Folder,
  Gauge,
  Globe,
  HardDrive,
  Info,
  KeyRound,
  type LucideIcon,
  NotebookPen,
  Palette,
  Plug,
  Server,
  Wrench,
} from "lucide-preact";
import type { App } from "../app/app";
import type { Section } from "../app/place";

export const SECTION_TITLES: Record<Section, string> = {
  keys: "Keys",
  servers: "Models and servers",
  device: "On-device model",
  agents: "Agents",
  limits: "Limits",
  usage: "Usage",
  tools: "Tools",
  mcp: "MCP servers",
  folders: "Folders",
  memory: "Memory",
  appearance: "Appearance",
  desktop: "Desktop",
  data: "Data",
  network: "Network",
  diagnostics: "Diagnostics",
  about: "About",
};

const ICONS: Record<Section, LucideIcon> = {
  keys: KeyRound,
  servers: Server,
  device: Cpu,
  agents: Bot,
  limits: Gauge,
  usage: ChartColumn,
  tools: Wrench,
  mcp: Plug,
  folders: Folder,
  memory: NotebookPen,
  appearance: Palette,
  desktop: AppWindow,
  data: HardDrive,
  network: Globe,
  diagnostics: Activity,
  about: Info,
};

export function SettingsNavigation({ app }: { app: App }) {
  const place = app.place.value;
  const open = place.view === "settings" ? place.section : null;
  return (
    <nav class="settings-navigation" aria-label="Settings">
      {(Object.keys(SECTION_TITLES) as Section[]).map((section) => {
        const Icon = ICONS[section];
        return (
          <button
            key={section}
            type="button"
            class="sidebar-item"
            aria-current={section === open ? "page" : undefined}
            onClick={() => app.openSettings(section)}
          >
            <Icon size={18} strokeWidth={1.75} aria-hidden="true" />
            {SECTION_TITLES[section]}
          </button>
        );
      })}
    </nav>
  );
}
