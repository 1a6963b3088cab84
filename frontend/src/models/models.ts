/** Which models there are, as the picker shows them. No JSX, no DOM. */
import { signal } from "@preact/signals";
import type { Commands, ModelInfo, ProviderModels } from "../api.gen";
import { BridgeError } from "../bridge";

export type Models = ReturnType<typeof createModels>;

/** What the picker offers for a search: groups with at least one match, and the typed name itself. */
export interface Choices {
  groups: { provider: ProviderModels; models: ModelInfo[] }[];
  typed: string | null;
}

const MODEL_NAME = /^[a-z][a-z0-9-]*\/\S.*$/;

export function createModels(api: Pick<Commands, "models">) {
  const providers = signal<ProviderModels[] | null>(null);
  const isLoading = signal(false);
  const problem = signal<BridgeError | null>(null);

  async function load(refresh = false): Promise<void> {
    isLoading.value = true;
    try {
      providers.value = await api.models.available({ refresh });
      problem.value = null;
    } catch (error) {
      if (!(error instanceof BridgeError)) throw error;
      problem.value = error;
    } finally {
      isLoading.value = false;
    }
  }

  function labelOf(id: string): string {
    const models = providers.value?.flatMap((provider) => provider.models) ?? [];
    return models.find((model) => model.id === id)?.label ?? id.slice(id.indexOf("/") + 1);
  }

  return { providers, isLoading, problem, load, labelOf };
}

/** Every word of `search` must be in the model's name, label or provider. */
export function choicesFor(providers: ProviderModels[], search: string): Choices {
  const words = search.toLowerCase().split(/\s+/).filter(Boolean);
  const groups = providers.map((provider) => ({
    provider,
    models: provider.models.filter((model) => {
      const text = `${provider.label} ${model.label} ${model.id}`.toLowerCase();
      return words.every((word) => text.includes(word));
    }),
  }));
  const name = search.trim();
  const isKnown = groups.some(({ models }) => models.some((model) => model.id === name));
  return {
    // Without a search a provider that has no models is shown too, because it says what is missing.
    groups: groups.filter(({ models }) => models.length > 0 || words.length === 0),
    typed: MODEL_NAME.test(name) && !isKnown ? name : null,
  };
}

/** The model that comes with the program: good for trying out. */
export function isSmall(modelId: string): boolean {
  return modelId.startsWith("device/");
}
