import { useSignal } from "@preact/signals";
import { useEffect, useId } from "preact/hooks";
import type { Part, PriceRow } from "../api.gen";
import type { App } from "../app/app";
import { Problem } from "../ui/Problem";
import { useAction } from "../ui/useAction";

const CLASSES = {
  input: "Input",
  cache_read: "From cache",
  cache_write: "To cache",
  output: "Output",
} as const;
type Class = keyof typeof CLASSES;
const NO_PRICES: Record<Class, string> = { input: "", cache_read: "", cache_write: "", output: "" };
const OPTIONAL: Class[] = ["cache_read", "cache_write"];
// As the bridge takes it.
const AMOUNT = /^\d{1,6}(\.\d{1,9})?$/;

/** The user's own prices: every version, and a form for the next one. */
export function PricesCard({ app, models }: { app: App; models: Part[] }) {
  const versions = useSignal<PriceRow[]>([]);
  const isOpen = useSignal(false);
  const { problem, run } = useAction();
  useEffect(() => {
    void run(async () => {
      versions.value = await app.api.usage.prices();
    });
  }, []);
  const change = (model: string, valid_from: string, prices: Record<Class, string> | null) =>
    run(async () => {
      const amounts = prices && {
        input: prices.input,
        output: prices.output,
        cache_read: prices.cache_read || null,
        cache_write: prices.cache_write || null,
      };
      versions.value = await app.api.usage.change_price({ model, valid_from, prices: amounts });
      isOpen.value = false;
    });
  const now = today();
  return (
    <section class="card" aria-labelledby="own-prices">
      <div class="heading-row">
        <h2 id="own-prices">Your prices</h2>
        {!isOpen.value && (
          <button
            type="button"
            class="button"
            onClick={() => {
              isOpen.value = true;
            }}
          >
            Set a price
          </button>
        )}
      </div>
      <p class="muted">
        Prices come with Deskside and are updated with it. Set your own where one is missing or yours differs.
        Calls already made keep what they cost.
      </p>
      {problem.value && <Problem message={problem.value.message} hint={problem.value.hint} />}
      {isOpen.value && (
        <PriceForm
          models={models}
          onSave={(model, from, prices) => void change(model, from, prices)}
          onCancel={() => {
            isOpen.value = false;
          }}
        />
      )}
      {versions.value.length > 0 && (
        // biome-ignore lint/a11y/noNoninteractiveTabindex: the arrow keys must be able to scroll it.
        <section class="table-scroll usage-table" aria-label="Your prices" tabIndex={0}>
          <table>
            <thead>
              <tr>
                <th scope="col">Model</th>
                <th scope="col">From</th>
                {Object.values(CLASSES).map((name) => (
                  <th key={name} scope="col">
                    {name}
                  </th>
                ))}
                <th scope="col">
                  <span class="visually-hidden">Change</span>
                </th>
              </tr>
            </thead>
            <tbody>
              {versions.value.map((version) => (
                <tr key={version.id}>
                  <th scope="row">{version.model}</th>
                  <td>{version.valid_from}</td>
                  {version.input === null ? (
                    <td colSpan={4}>Deskside's own price</td>
                  ) : (
                    (Object.keys(CLASSES) as Class[]).map((each) => (
                      <td key={each}>{version[each] === null ? "as input" : dollars(version[each])}</td>
                    ))
                  )}
                  <td>
                    {isInForce(version, versions.value, now) && version.input !== null && (
                      <button
                        type="button"
                        class="link"
                        onClick={() => void change(version.model, now, null)}
                      >
                        End today
                      </button>
                    )}
                  </td>
                </tr>
              ))}
            </tbody>
          </table>
        </section>
      )}
    </section>
  );
}

interface FormProps {
  models: Part[];
  onSave(model: string, from: string, prices: Record<Class, string>): void;
  onCancel(): void;
}

function PriceForm({ models, onSave, onCancel }: FormProps) {
  const id = useId();
  const missing = models.find(({ sum }) => sum.unknown_calls > 0) ?? models[0];
  const model = useSignal(missing ? String(missing.id) : "");
  const from = useSignal(today());
  const prices = useSignal(NO_PRICES);
  const isWrong = useSignal(false);
  const isRight = (each: Class) => {
    const typed = prices.value[each];
    return AMOUNT.test(typed) || (typed === "" && OPTIONAL.includes(each));
  };
  const isWhole = () => (Object.keys(CLASSES) as Class[]).every(isRight) && model.value.trim() !== "";
  return (
    <form
      class="price-form"
      onSubmit={(event) => {
        event.preventDefault();
        isWrong.value = !isWhole();
        if (!isWrong.value) onSave(model.value.trim(), from.value, prices.value);
      }}
    >
      <div class="price-fields">
        <label class="price-model">
          Model
          <input
            class="field"
            list={`${id}-models`}
            placeholder="provider/model"
            aria-invalid={isWrong.value && model.value.trim() === ""}
            value={model.value}
            onInput={(event) => {
              model.value = event.currentTarget.value;
            }}
          />
          <datalist id={`${id}-models`}>
            {models.map((each) => (
              <option key={each.id} value={String(each.id)} />
            ))}
          </datalist>
        </label>
        <label>
          From
          <input
            class="field"
            type="date"
            required
            value={from.value}
            onInput={(event) => {
              from.value = event.currentTarget.value;
            }}
          />
        </label>
      </div>
      <div class="price-fields">
        {(Object.keys(CLASSES) as Class[]).map((each) => (
          <label key={each}>
            {CLASSES[each]}
            <input
              class="field"
              inputMode="decimal"
              placeholder={OPTIONAL.includes(each) ? "as input" : "0.00"}
              aria-invalid={isWrong.value && !isRight(each)}
              value={prices.value[each]}
              onInput={(event) => {
                prices.value = { ...prices.value, [each]: event.currentTarget.value.trim() };
              }}
            />
          </label>
        ))}
      </div>
      <p class={isWrong.value ? "field-problem" : "muted"} role="status">
        {isWrong.value
          ? "Name the model, and write amounts such as 3 or 0.075."
          : "US dollars for a million tokens. Reasoning is billed as output."}
      </p>
      <div class="actions">
        <button type="submit" class="button primary">
          Save
        </button>
        <button type="button" class="button quiet" onClick={onCancel}>
          Cancel
        </button>
      </div>
    </form>
  );
}

/** "3" → "$3", "0.6" → "$0.60": exact, as it was set. */
function dollars(amount: string): string {
  const [whole, fraction] = amount.split(".");
  return fraction === undefined ? `$${whole}` : `$${whole}.${fraction.padEnd(2, "0")}`;
}

/** The version that holds today, of those of its model. They come with the one that begins last first. */
function isInForce(version: PriceRow, versions: PriceRow[], now: string): boolean {
  return versions.find(({ model, valid_from }) => model === version.model && valid_from <= now) === version;
}

/** On this machine's clock, as a date field has it. */
function today(): string {
  const date = new Date();
  const parts = [date.getFullYear(), date.getMonth() + 1, date.getDate()];
  return parts.map((part) => String(part).padStart(2, "0")).join("-");
}
