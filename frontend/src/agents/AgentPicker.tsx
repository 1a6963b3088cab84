import { useSignal } from "@preact/signals";
import { Check, ChevronDown } from "lucide-preact";
import { useCallback, useRef } from "preact/hooks";
import type { AgentRow } from "../api.gen";
import type { App } from "../app/app";
import { useMenuKeys } from "../ui/menuKeys";
import { Popover } from "../ui/Popover";
import { AgentIcon } from "./AgentIcon";

/** The button that names who answers, and the list of agents behind it. */
export function AgentPicker({ app }: { app: App }) {
  const isOpen = useSignal(false);
  const button = useRef<HTMLButtonElement>(null);
  const close = useCallback(() => {
    isOpen.value = false;
  }, []);
  const name = app.agent.value;
  const label = app.agents.labelOf(name);
  const icon = app.agents.rows.value.find((row) => row.name === name)?.icon ?? "";
  return (
    <>
      <button
        ref={button}
        type="button"
        class="picker-button"
        data-testid="agent-picker"
        aria-haspopup="menu"
        aria-expanded={isOpen.value}
        aria-label={`Agent: ${label}`}
        title={`Who answers: ${label}`}
        onClick={() => {
          if (!isOpen.value) void app.agents.load();
          isOpen.value = !isOpen.value;
        }}
      >
        <AgentIcon icon={icon} />
        <span class="picker-name">{label}</span>
        <ChevronDown size={14} aria-hidden="true" />
      </button>
      {isOpen.value && (
        <Popover
          anchor={button}
          placement="top-start"
          role="menu"
          label="Who answers"
          class="menu agent-menu"
          onClose={close}
        >
          <AgentList
            key={String(app.agents.active.value.length > 0)}
            agents={app.agents.active.value}
            chosen={name}
            onClose={close}
            onChoose={(chosen) => {
              close();
              if (chosen !== name) void app.chooseAgent(chosen);
            }}
          />
        </Popover>
      )}
    </>
  );
}

interface ListProps {
  agents: AgentRow[];
  chosen: string;
  onClose(): void;
  onChoose(name: string): void;
}

/** Arrow keys move, Enter chooses. */
function AgentList({ agents, chosen, onClose, onChoose }: ListProps) {
  const { list, onKeyDown } = useMenuKeys(onClose);

  if (agents.length === 0) return <p class="muted picker-empty">Loading the agents…</p>;
  const isShared = (label: string) => agents.filter((agent) => agent.label === label).length > 1;
  return (
    <div ref={list} role="none" onKeyDown={onKeyDown}>
      {agents.map(({ name, label, icon }) => (
        <button
          key={name}
          type="button"
          role="menuitemradio"
          aria-checked={name === chosen}
          class="menu-item"
          onClick={() => onChoose(name)}
        >
          <AgentIcon icon={icon} />
          <span>{label}</span>
          {isShared(label) && <code class="muted">{name}</code>}
          {name === chosen && <Check class="menu-mark" size={16} aria-hidden="true" />}
        </button>
      ))}
    </div>
  );
}
