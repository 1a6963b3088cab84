import { type Signal, useSignal } from "@preact/signals";
import type { RunStory } from "../api.gen";
import { barOf, durationOf, FILTERS, type Filter, KIND_WORDS, type Row, rowsOf, STATUS_WORDS } from "./run";

interface Props {
  told: RunStory;
  chosen: Signal<string | null>;
}

/** The run as a tree, and beside each line when it was and how long it took. */
export function Waterfall({ told, chosen }: Props) {
  const filter = useSignal<Filter>("all");
  const search = useSignal("");
  const rows = rowsOf(told.story, filter.value, search.value);
  return (
    <section class="waterfall" aria-label="What happened">
      <div class="waterfall-tools">
        {/* biome-ignore lint/a11y/useSemanticElements: a fieldset cannot be a row of buttons in every engine. */}
        <div class="waterfall-filters" role="group" aria-label="Show">
          {FILTERS.map(({ id, label }) => (
            <button
              key={id}
              type="button"
              class="button quiet"
              aria-pressed={filter.value === id}
              onClick={() => (filter.value = id)}
            >
              {label}
            </button>
          ))}
        </div>
        <input
          type="search"
          class="field"
          placeholder="Search names and errors"
          aria-label="Search names and errors"
          value={search.value}
          onInput={(event) => (search.value = event.currentTarget.value)}
        />
      </div>
      {rows.length === 0 && <p class="muted">Nothing like this happened in the run.</p>}
      <ol class="waterfall-rows">
        {rows.map((row) => (
          <li key={row.key}>
            {row.mark ? <MarkLine row={row} /> : <SpanLine told={told} row={row} chosen={chosen} />}
          </li>
        ))}
      </ol>
    </section>
  );
}

function SpanLine({ told, row, chosen }: Props & { row: Row }) {
  const { span, depth } = row;
  const bar = barOf(told.story, span);
  const isChosen = chosen.value === span.id;
  return (
    <button
      type="button"
      class="span-line"
      data-testid="span"
      data-kind={span.kind}
      data-status={span.status}
      aria-expanded={isChosen}
      title={span.message || undefined}
      onClick={() => (chosen.value = isChosen ? null : span.id)}
    >
      <span class="span-name" style={{ paddingInlineStart: `${depth * 14}px` }}>
        <span class="span-kind">{KIND_WORDS[span.kind]}</span>
        <span class="span-title">{span.name}</span>
        {span.status !== "ok" && <span class="span-status">{STATUS_WORDS[span.status]}</span>}
      </span>
      <span class="span-time">{durationOf(told.story, span)}</span>
      <span class="span-axis" aria-hidden="true">
        <span class="span-bar" style={{ left: `${bar.left}%`, width: `max(3px, ${bar.width}%)` }}>
          {bar.first !== null && bar.width > 0 && (
            <span class="span-first" style={{ width: `${(100 * bar.first) / bar.width}%` }} />
          )}
        </span>
      </span>
    </button>
  );
}

function MarkLine({ row }: { row: Row }) {
  return (
    <p class="mark-line" style={{ paddingInlineStart: `${row.depth * 14 + 8}px` }}>
      {row.mark?.text}
    </p>
  );
}
