import { Pencil, Trash2 } from "lucide-preact";
import { useId } from "preact/hooks";
import type { ToolRow } from "../api.gen";
import { IconButton } from "../ui/IconButton";
import { APPROVALS, type Approval, EFFECTS, firstSentence } from "./tools";

interface Props {
  tool: ToolRow;
  onChange(changes: { approval?: Approval; is_enabled?: boolean }): void;
  onEdit(): void;
  onDelete(): void;
}

export function ToolItem({ tool, onChange, onEdit, onDelete }: Props) {
  const id = useId();
  return (
    <li class="tool-row" data-off={!tool.is_enabled || !tool.is_ready} data-testid="tool-row">
      <div class="tool-head">
        <code id={id} class="tool-row-name">
          {tool.name}
        </code>
        <span class="tag" data-effect={tool.effect}>
          {EFFECTS[tool.effect]}
        </span>
        {tool.category && <span class="tag">{tool.category}</span>}
        {!tool.is_ready && <span class="tag warned">Not accepted</span>}
      </div>
      <div class="tool-controls">
        {tool.kind === "user" && (
          <>
            <IconButton icon={Pencil} label={`Edit ${tool.name}`} onClick={onEdit} />
            <IconButton icon={Trash2} label={`Delete ${tool.name}`} onClick={onDelete} />
          </>
        )}
        <select
          class="field"
          aria-label={`When to ask before ${tool.name} runs`}
          disabled={!tool.is_enabled}
          onChange={(event) => onChange({ approval: event.currentTarget.value as Approval })}
        >
          {APPROVALS.map(({ value, label }) => (
            <option key={value} value={value} selected={value === tool.approval}>
              {label}
            </option>
          ))}
        </select>
        <input
          type="checkbox"
          role="switch"
          class="tool-switch"
          aria-label={`Use ${tool.name}`}
          checked={tool.is_enabled}
          aria-checked={tool.is_enabled}
          onChange={(event) => onChange({ is_enabled: event.currentTarget.checked })}
        />
      </div>
      <p class="muted">{firstSentence(tool.description)}</p>
    </li>
  );
}
