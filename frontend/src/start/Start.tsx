import { useSignal } from "@preact/signals";
import { ChevronDown, Cpu, KeyRound, type LucideIcon, Server } from "lucide-preact";
import type { ComponentType } from "preact";
import { useId } from "preact/hooks";
import type { App } from "../app/app";
import { PageHeader, type SidebarState } from "../app/PageHeader";
import { StartOnDevice } from "./StartOnDevice";
import { StartWithKey } from "./StartWithKey";
import { StartWithServer } from "./StartWithServer";

interface Way {
  name: string;
  icon: LucideIcon;
  title: string;
  sentence: string;
  Steps: ComponentType<{ app: App }>;
}

const WAYS: Way[] = [
  {
    name: "key",
    icon: KeyRound,
    title: "Use your own key",
    sentence: "The best answers, from OpenAI or Anthropic. They bill you for what you use.",
    Steps: StartWithKey,
  },
  {
    name: "server",
    icon: Server,
    title: "Use a server on this machine",
    sentence: "Ollama, LM Studio, llama.cpp, vLLM, or any server that speaks OpenAI's language.",
    Steps: StartWithServer,
  },
  {
    name: "device",
    icon: Cpu,
    title: "Use the on-device model",
    sentence:
      "No key, no network. A small model: good for trying out and simple questions, not for real work.",
    Steps: StartOnDevice,
  },
];

/** The first run: three ways to a ready chat. */
export function Start({ app, sidebar }: { app: App; sidebar: SidebarState }) {
  const open = useSignal<string | null>("key");
  return (
    <div class="settings">
      <PageHeader sidebar={sidebar} />
      <div class="settings-scroll">
        <div class="start">
          <h1 class="start-title">Welcome to Deskside</h1>
          <p class="lead">
            Your conversations are kept on this machine. Choose what should answer; you can change it later.
          </p>
          <div class="ways">
            {WAYS.map((way) => (
              <WayCard
                key={way.name}
                app={app}
                way={way}
                isOpen={open.value === way.name}
                onToggle={() => {
                  open.value = open.value === way.name ? null : way.name;
                }}
              />
            ))}
          </div>
          <button type="button" class="button quiet start-later" onClick={app.openChat}>
            Decide later
          </button>
        </div>
      </div>
    </div>
  );
}

interface WayCardProps {
  app: App;
  way: Way;
  isOpen: boolean;
  onToggle(): void;
}

function WayCard({ app, way, isOpen, onToggle }: WayCardProps) {
  const { icon: Icon, title, sentence, Steps } = way;
  const id = useId();
  return (
    <section class="way" data-open={isOpen}>
      <h2>
        <button type="button" class="way-button" aria-expanded={isOpen} aria-controls={id} onClick={onToggle}>
          <span class="way-icon">
            <Icon size={20} strokeWidth={1.75} aria-hidden="true" />
          </span>
          <span class="way-text">
            <strong>{title}</strong>
            <span class="muted">{sentence}</span>
          </span>
          <ChevronDown class="way-mark" size={18} aria-hidden="true" />
        </button>
      </h2>
      <div id={id} class="way-steps" hidden={!isOpen}>
        {isOpen && <Steps app={app} />}
      </div>
    </section>
  );
}
