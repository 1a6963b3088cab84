import { useSignal } from "@preact/signals";
import { ChevronDown, ChevronUp, X } from "lucide-preact";
import { ModelPicker } from "../models/ModelPicker";
import { Row } from "../settings/Row";
import { IconButton } from "../ui/IconButton";
import type { PartProps } from "./AgentForm";
import { moved } from "./draft";

const MOST_FALLBACKS = 10;

/** Which models answer for it, and in which order. */
export function ModelsCard({ app, draft, onChange }: PartProps) {
  const isModelOpen = useSignal(false);
  const isFallbackOpen = useSignal(false);
  const { fallbackModels } = draft;
  const add = (model: string) => {
    if (!fallbackModels.includes(model)) onChange({ fallbackModels: [...fallbackModels, model] });
  };
  return (
    <section class="card" aria-label="Models">
      <Row
        label="Model"
        hint={
          draft.model
            ? "Always this one, whatever the chat has."
            : "Or always the same one, whatever the chat has."
        }
      >
        {() => (
          <>
            <ModelPicker
              app={app}
              model={draft.model}
              isOpen={isModelOpen}
              placeholder="The chat’s model"
              onChoose={(model) => onChange({ model })}
            />
            {draft.model !== null && (
              <IconButton icon={X} label="Use the chat’s model" onClick={() => onChange({ model: null })} />
            )}
          </>
        )}
      </Row>
      <Row label="When that fails" hint="Tried in this order.">
        {() => (
          <div class="fallbacks">
            <ol>
              {fallbackModels.map((model, at) => (
                <li key={model}>
                  <span class="fallback-name" title={model}>
                    {app.models.labelOf(model)}
                  </span>
                  <IconButton
                    icon={ChevronUp}
                    label={`Try ${model} earlier`}
                    disabled={at === 0}
                    onClick={() => onChange({ fallbackModels: moved(fallbackModels, at, -1) })}
                  />
                  <IconButton
                    icon={ChevronDown}
                    label={`Try ${model} later`}
                    disabled={at === fallbackModels.length - 1}
                    onClick={() => onChange({ fallbackModels: moved(fallbackModels, at, 1) })}
                  />
                  <IconButton
                    icon={X}
                    label={`Do not try ${model}`}
                    onClick={() =>
                      onChange({ fallbackModels: fallbackModels.filter((each) => each !== model) })
                    }
                  />
                </li>
              ))}
            </ol>
            {fallbackModels.length < MOST_FALLBACKS && (
              <ModelPicker
                app={app}
                model={null}
                isOpen={isFallbackOpen}
                placeholder="Add a model"
                onChoose={add}
              />
            )}
          </div>
        )}
      </Row>
    </section>
  );
}
