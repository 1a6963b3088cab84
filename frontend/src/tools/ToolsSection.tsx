import { Plus } from "lucide-preact";
import { useEffect, useRef } from "preact/hooks";
import type { ToolRow } from "../api.gen";
import type { App } from "../app/app";
import { Problem } from "../ui/Problem";
import { ToolEditor } from "./ToolEditor";
import { ToolItem } from "./ToolItem";
import { draftOf, grouped, newDraft } from "./tools";

export function ToolsSection({ app }: { app: App }) {
  const { tools } = app;
  useEffect(() => void tools.open(), []);
  const draft = tools.draft.value;
  const wasEditing = useRef(false);
  if (draft) {
    wasEditing.current = true;
    return <ToolEditor key={draft.kept?.name ?? ""} app={app} draft={draft} />;
  }
  return <ToolList app={app} isBack={wasEditing.current} />;
}

interface ListProps {
  app: App;
  /** The editor was just closed: its focus is gone, and the page is scrolled to where it ended. */
  isBack: boolean;
}

function ToolList({ app, isBack }: ListProps) {
  const { tools, toasts } = app;
  const add = useRef<HTMLButtonElement>(null);
  useEffect(() => {
    if (!isBack) return;
    add.current?.focus({ preventScroll: true });
    add.current?.closest(".settings-scroll")?.scrollTo?.(0, 0);
  }, []);
  const rows = tools.list.value;
  const problem = tools.loadProblem.value;

  const remove = async (tool: ToolRow) => {
    let gone = tool;
    const remove = async () => {
      gone = await tools.remove(tool);
    };
    if (!(await toasts.attempt(remove))) return;
    const restore = () => void toasts.attempt(() => tools.restore(gone));
    const action = { label: "Undo", run: restore };
    toasts.show({ level: "info", message: `“${tool.name}” was deleted.`, hint: "", action });
  };
  return (
    <>
      <p class="lead">
        What an agent can do beyond talking. You decide which tools there are, and which ask you first.
      </p>
      <section class="card">
        <ul class="facts-list muted">
          <li>
            <strong>Ask</strong> lets you allow a call once, for the whole answer, or always for the agent.
          </li>
          <li>
            <strong>Always ask</strong> asks before every call, <strong>Never ask</strong> before none.
          </li>
          <li>
            Once text from outside is in a conversation (a web page, a file, a server's answer), everything
            but reading asks, whatever is chosen here.
          </li>
        </ul>
        <button
          ref={add}
          type="button"
          class="button primary"
          data-testid="new-tool"
          onClick={() => {
            tools.draft.value = newDraft();
          }}
        >
          <Plus size={14} aria-hidden="true" />
          New tool
        </button>
      </section>
      {problem && (
        <Problem message={problem.message} hint={problem.hint} requestId={problem.requestId}>
          <button type="button" class="button" onClick={() => void tools.load()}>
            Try again
          </button>
        </Problem>
      )}
      {grouped(rows ?? []).map((group) => (
        <section key={group.title} class="card" aria-label={group.title}>
          <h2>{group.title}</h2>
          <Unaccepted tools={group.tools} onReview={() => app.openSettings("mcp")} />
          <ul class="list">
            {group.tools.map((tool) => (
              <ToolItem
                key={tool.name}
                tool={tool}
                onChange={(changes) => void toasts.attempt(() => tools.change(tool.name, changes))}
                onEdit={() => {
                  tools.draft.value = draftOf(tool);
                }}
                onDelete={() => void remove(tool)}
              />
            ))}
          </ul>
        </section>
      ))}
    </>
  );
}

/** Which tools of a server no model gets yet. */
function Unaccepted({ tools, onReview }: { tools: ToolRow[]; onReview(): void }) {
  const count = tools.filter((tool) => !tool.is_ready).length;
  if (count === 0) return null;
  return (
    <p class="muted">
      {count === 1 ? "1 of these is" : `${count} of these are`} not in use: you have not accepted what the
      server offers now.{" "}
      <button type="button" class="link" onClick={onReview}>
        Look at {count === 1 ? "it" : "them"}
      </button>
    </p>
  );
}
