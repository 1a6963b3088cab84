import { useSignal } from "@preact/signals";
import { Plus, X } from "lucide-preact";
import { useEffect, useId, useRef } from "preact/hooks";
import type { KeptVariable, McpServerRow, ProposeServerInput } from "../api.gen";
import { IconButton } from "../ui/IconButton";
import { Problem } from "../ui/Problem";
import { useAction } from "../ui/useAction";
import { joinCommand, splitCommand } from "./servers";

interface Props {
  /** The server to change; null for a new one. */
  server: McpServerRow | null;
  /** False when the user said no in the dialog of the system. */
  onPropose(proposal: ProposeServerInput): Promise<boolean>;
  onDone(): void;
}

interface Line {
  key: number;
  name: string;
  value: string;
  isSecret: boolean;
  /** A secret that is stored and stays as it is unless another is typed. */
  isStored: boolean;
}

let lastKey = 0;
const emptyLine = (): Line => ({ key: ++lastKey, name: "", value: "", isSecret: true, isStored: false });
const storedLine = ({ name, value, place }: KeptVariable): Line => ({
  key: ++lastKey,
  name,
  value: value ?? "",
  isSecret: place !== "",
  isStored: place !== "",
});
const sent = (lines: Line[]) =>
  lines
    .filter((line) => line.name.trim() !== "")
    .map(({ name, value, isSecret, isStored }) => ({
      name: name.trim(),
      value: isSecret && isStored && value === "" ? null : value,
      is_secret: isSecret,
    }));

export function McpForm({ server, onPropose, onDone }: Props) {
  const id = useId();
  const name = useSignal(server?.name ?? "");
  const transport = useSignal<"stdio" | "http">(server?.transport ?? "stdio");
  const command = useSignal(
    server?.transport === "stdio" ? joinCommand([server.command, ...server.arguments]) : "",
  );
  const url = useSignal(server?.url ?? "");
  const lines = useSignal<Line[]>(
    [...(server?.environment ?? []), ...(server?.headers ?? [])].map(storedLine),
  );
  const wasRefused = useSignal(false);
  const action = useAction();
  const first = useRef<HTMLInputElement>(null);
  useEffect(() => first.current?.focus(), []);

  const isProgram = transport.value === "stdio";
  const words = splitCommand(command.value);
  const canAsk = name.value.trim() !== "" && (isProgram ? Boolean(words?.length) : url.value.trim() !== "");

  const ask = async (event: Event) => {
    event.preventDefault();
    wasRefused.value = false;
    const common = { id: server?.id ?? null, name: name.value.trim(), transport: transport.value };
    await action.run(async () => {
      const isAdded = await onPropose(
        isProgram
          ? {
              ...common,
              command: words?.[0] ?? "",
              arguments: words?.slice(1) ?? [],
              environment: sent(lines.value),
            }
          : { ...common, url: url.value.trim(), headers: sent(lines.value) },
      );
      wasRefused.value = !isAdded;
      if (isAdded) onDone();
    });
  };

  return (
    <form
      class="server-form mcp-form"
      aria-label={server ? `Edit ${server.name}` : "Add a server"}
      onSubmit={ask}
    >
      {!server && (
        <fieldset class="segments">
          <legend>Where it runs</legend>
          {(["stdio", "http"] as const).map((kind) => (
            <label key={kind} class="segment">
              <input
                type="radio"
                name={`${id}-transport`}
                checked={transport.value === kind}
                onChange={() => {
                  transport.value = kind;
                }}
              />
              <span>{kind === "stdio" ? "On this computer" : "Elsewhere"}</span>
            </label>
          ))}
        </fieldset>
      )}
      <div>
        <label for={`${id}-name`}>Name</label>
        <input
          ref={first}
          id={`${id}-name`}
          class="field"
          autocomplete="off"
          placeholder="files"
          maxLength={32}
          value={name.value}
          onInput={(event) => {
            name.value = event.currentTarget.value;
          }}
        />
      </div>
      {isProgram ? (
        <div>
          <label for={`${id}-command`}>Command</label>
          <input
            id={`${id}-command`}
            class="field mono"
            spellcheck={false}
            autocomplete="off"
            placeholder="npx -y @modelcontextprotocol/server-filesystem ~/Documents"
            aria-describedby={`${id}-command-hint`}
            aria-invalid={words === null}
            value={command.value}
            onInput={(event) => {
              command.value = event.currentTarget.value;
            }}
          />
          <p id={`${id}-command-hint`} class="muted">
            {words === null
              ? "A quotation mark is left open."
              : "As in a terminal: spaces separate, quotation marks keep together. No shell reads it, so ~ and $NAME stay as they are."}
          </p>
        </div>
      ) : (
        <div>
          <label for={`${id}-url`}>Address</label>
          <input
            id={`${id}-url`}
            class="field mono"
            spellcheck={false}
            autocomplete="off"
            placeholder="https://mcp.example.com/mcp"
            maxLength={2000}
            value={url.value}
            onInput={(event) => {
              url.value = event.currentTarget.value;
            }}
          />
        </div>
      )}
      <Lines
        label={isProgram ? "Variables" : "Headers"}
        hint={
          isProgram
            ? "Deskside hands on nothing of its own environment but the way to programs and your home folder."
            : "For a token, such as Authorization with “Bearer …”. A server where you sign in in your browser needs none."
        }
        placeholder={isProgram ? "API_KEY" : "Authorization"}
        lines={lines.value}
        onChange={(changed) => {
          lines.value = changed;
        }}
      />
      <p class="muted">
        A dialog of your system will show everything and ask you. It is not part of this page, so that no page
        can say yes for you.
      </p>
      {action.problem.value && (
        <Problem
          message={action.problem.value.message}
          hint={action.problem.value.hint}
          requestId={action.problem.value.requestId}
        />
      )}
      {wasRefused.value && (
        <p class="muted" role="status">
          You said no. Nothing was changed.
        </p>
      )}
      <div class="actions">
        <button type="submit" class="button primary" disabled={!canAsk || action.isBusy.value}>
          {action.isBusy.value ? "Waiting for your answer…" : server ? "Change…" : "Add…"}
        </button>
        <button type="button" class="button quiet" onClick={onDone}>
          Cancel
        </button>
      </div>
    </form>
  );
}

interface LinesProps {
  label: string;
  hint: string;
  placeholder: string;
  lines: Line[];
  onChange(lines: Line[]): void;
}

function Lines({ label, hint, placeholder, lines, onChange }: LinesProps) {
  const set = (line: Line, changes: Partial<Line>) =>
    onChange(lines.map((other) => (other.key === line.key ? { ...line, ...changes } : other)));
  return (
    <fieldset class="mcp-variables">
      <legend>{label}</legend>
      <p class="muted">{hint}</p>
      {lines.map((line, index) => (
        <div key={line.key} class="mcp-variable">
          <input
            class="field mono"
            aria-label={`Name ${index + 1}`}
            placeholder={placeholder}
            spellcheck={false}
            autocomplete="off"
            maxLength={128}
            value={line.name}
            onInput={(event) => set(line, { name: event.currentTarget.value })}
          />
          <input
            class="field mono"
            aria-label={`Value ${index + 1}`}
            {...(line.isSecret ? { type: "password" as const } : { type: "text" as const })}
            placeholder={line.isStored ? "as it is stored" : "value"}
            spellcheck={false}
            autocomplete="off"
            maxLength={4000}
            value={line.value}
            onInput={(event) => set(line, { value: event.currentTarget.value })}
          />
          <label class="mcp-secret">
            <input
              type="checkbox"
              checked={line.isSecret}
              onChange={(event) => set(line, { isSecret: event.currentTarget.checked })}
            />
            Secret
          </label>
          <IconButton
            icon={X}
            label={`Remove ${line.name || `line ${index + 1}`}`}
            onClick={() => onChange(lines.filter(({ key }) => key !== line.key))}
          />
        </div>
      ))}
      <button type="button" class="button quiet" onClick={() => onChange([...lines, emptyLine()])}>
        <Plus size={14} aria-hidden="true" />
        {label === "Variables" ? "Add a variable" : "Add a header"}
      </button>
    </fieldset>
  );
}
