import type { ComponentType } from "preact";
import { AgentsSection } from "../agents/AgentsSection";
import type { App } from "../app/app";
import { useReport } from "../app/context";
import { PageHeader, type SidebarState } from "../app/PageHeader";
import type { Section } from "../app/place";
import { Diagnostics } from "../diagnostics/Diagnostics";
import { McpSection } from "../mcp/McpSection";
import { NetworkSection } from "../network/NetworkSection";
import { ToolsSection } from "../tools/ToolsSection";
import { ErrorBoundary } from "../ui/ErrorBoundary";
import { UsageSection } from "../usage/UsageSection";
import { AboutSection } from "./AboutSection";
import { AppearanceSection } from "./AppearanceSection";
import { DataSection } from "./DataSection";
import { DesktopSection } from "./DesktopSection";
import { DeviceSection } from "./DeviceSection";
import { FoldersSection } from "./FoldersSection";
import { KeysSection } from "./KeysSection";
import { LimitsSection } from "./LimitsSection";
import { MemorySection } from "./MemorySection";
import { ServersSection } from "./ServersSection";
import { SECTION_TITLES } from "./SettingsNavigation";

const PAGES: Record<Section, ComponentType<{ app: App }>> = {
  keys: KeysSection,
  servers: ServersSection,
  device: DeviceSection,
  agents: AgentsSection,
  limits: LimitsSection,
  usage: UsageSection,
  folders: FoldersSection,
  memory: MemorySection,
  tools: ToolsSection,
  mcp: McpSection,
  appearance: AppearanceSection,
  desktop: DesktopSection,
  data: DataSection,
  network: NetworkSection,
  diagnostics: Diagnostics,
  about: AboutSection,
};

export function SettingsPage({ app, sidebar }: { app: App; sidebar: SidebarState }) {
  const report = useReport();
  const place = app.place.value;
  const section = place.view === "settings" ? place.section : "keys";
  const Page = PAGES[section];
  return (
    <div class="settings">
      <PageHeader title={SECTION_TITLES[section]} sidebar={sidebar} />
      <div class="settings-scroll">
        <div class="settings-content">
          <ErrorBoundary key={section} where={`“${SECTION_TITLES[section]}”`} report={report}>
            <Page app={app} />
          </ErrorBoundary>
        </div>
      </div>
    </div>
  );
}
