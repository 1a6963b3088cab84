import { useEffect } from "preact/hooks";
import type { App } from "../app/app";
import { Problem } from "../ui/Problem";
import { MemoryItem } from "./MemoryItem";

export function MemorySection({ app }: { app: App }) {
  const { memories } = app;
  useEffect(() => void memories.load(), []);
  const problem = memories.loadProblem.value;
  const list = memories.list.value;
  return (
    <>
      <p class="lead">
        What the assistant keeps in mind from one chat to the next. Ask it to remember something, and it
        appears here; you can change or delete each note.
      </p>
      {problem && (
        <Problem message={problem.message} hint={problem.hint} requestId={problem.requestId}>
          <button type="button" class="button" onClick={() => void memories.load()}>
            Try again
          </button>
        </Problem>
      )}
      {list && (
        <section class="card" aria-label="Memories">
          {list.length === 0 ? (
            <p class="muted">
              Nothing is remembered yet. Say, for example: “Remember that I am a vegetarian.”
            </p>
          ) : (
            <ul class="list">
              {list.map((memory) => (
                <MemoryItem key={memory.id} app={app} memory={memory} />
              ))}
            </ul>
          )}
        </section>
      )}
    </>
  );
}
