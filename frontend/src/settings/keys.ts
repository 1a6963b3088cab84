/** API keys as the page may know them. A secret passes through `save` and is not kept. */
import { signal } from "@preact/signals";
import type { Commands, KeyList, KeyTest } from "../api.gen";
import { BridgeError } from "../bridge";

export type Keys = ReturnType<typeof createKeys>;

export interface KeyProvider {
  id: string;
  label: string;
  /** Where the user gets a key. */
  address: string;
  placeholder: string;
}

export const KEY_PROVIDERS: KeyProvider[] = [
  {
    id: "openai",
    label: "OpenAI",
    address: "https://platform.openai.com/api-keys",
    placeholder: "sk-…",
  },
  {
    id: "anthropic",
    label: "Anthropic",
    address: "https://console.anthropic.com/settings/keys",
    placeholder: "sk-ant-…",
  },
];

export function createKeys(api: Pick<Commands, "keys">) {
  const list = signal<KeyList | null>(null);
  const loadProblem = signal<BridgeError | null>(null);

  async function load(): Promise<void> {
    try {
      list.value = await api.keys.overview();
      loadProblem.value = null;
    } catch (error) {
      if (!(error instanceof BridgeError)) throw error;
      loadProblem.value = error;
    }
  }

  async function take(answer: Promise<KeyList>): Promise<void> {
    list.value = await answer;
  }

  return {
    list,
    loadProblem,
    load,
    /** Raises BridgeError, as the others below: the form that called says why. */
    save: (provider: string, secret: string) => take(api.keys.save({ provider, secret })),
    forget: (provider: string) => take(api.keys.delete({ provider })),
    useFile: (passphrase: string) => take(api.keys.use_file({ passphrase })),
    test: (provider: string): Promise<KeyTest> => api.keys.test({ provider }),
  };
}
