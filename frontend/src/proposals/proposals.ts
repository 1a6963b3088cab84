/** What links and files from outside propose. No JSX, no DOM. */
import { computed, signal } from "@preact/signals";
import type { AppEvent, Commands, ProposalsChanged } from "../api.gen";
import { BridgeError } from "../bridge";
import type { Toasts } from "../ui/toasts";

export type Proposals = ReturnType<typeof createProposals>;
type Proposal = ProposalsChanged["waiting"][number];

export function createProposals(
  api: Pick<Commands, "proposals">,
  toasts: Toasts,
  openConversation: (id: number) => Promise<unknown>,
  newChat: () => void,
) {
  const waiting = signal<Proposal[]>([]);
  /** The one that was acted on here already; Python may not have heard of it yet. */
  let seen = 0;

  /** The agent to look at now. */
  const agent = computed(() => {
    const first = waiting.value[0];
    return first?.type === "agent" ? first : null;
  });

  async function load(): Promise<void> {
    try {
      follow(await api.proposals.waiting());
    } catch (error) {
      // The socket dropped; the next reset asks again.
      if (!(error instanceof BridgeError)) throw error;
    }
  }

  function apply(event: AppEvent): void {
    if (event.type === "proposals_changed") follow(event.waiting);
  }

  function follow(proposals: Proposal[]): void {
    waiting.value = proposals.filter(({ id }) => id > seen);
    const first = waiting.value[0];
    if (first && first.type !== "agent") void show(first);
  }

  async function show(first: Exclude<Proposal, { type: "agent" }>): Promise<void> {
    seen = first.id;
    if (first.type === "refused") {
      toasts.show({ level: "error", message: first.message, hint: first.hint });
    } else if (first.type === "new_chat") newChat();
    else await openConversation(first.conversation_id);
    await putAway(first.id);
  }

  /** The user has seen it. The next one comes with the event that this leads to. */
  async function putAway(id: number): Promise<void> {
    seen = Math.max(seen, id);
    waiting.value = waiting.value.filter((each) => each.id > seen);
    await toasts.attempt(() => api.proposals.put_away({ id }));
  }

  return { agent, load, apply, putAway };
}
