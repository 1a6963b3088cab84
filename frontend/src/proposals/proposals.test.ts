import { expect, test, vi } from "vitest";
import type { Commands, ProposalsChanged } from "../api.gen";
import { createToasts } from "../ui/toasts";
import { createProposals } from "./proposals";

type Proposal = ProposalsChanged["waiting"][number];

const opening = (id: number): Proposal => ({ type: "conversation", id, conversation_id: 40 + id });
const refused = (id: number): Proposal => ({ type: "refused", id, message: "No.", hint: "Ask again." });
const agent = (id: number) => ({ type: "agent", id, json: "{}", free_name: "pirate" }) as Proposal;

function created(loaded: Proposal[] = []) {
  const putAway = vi.fn(async (_: { id: number }) => {});
  const api = { proposals: { waiting: async () => loaded, put_away: putAway } } as unknown as Commands;
  const toasts = createToasts();
  const open = vi.fn(async (_: number) => {});
  const newChat = vi.fn();
  const proposals = createProposals(api, toasts, open, newChat);
  const follow = (...waiting: Proposal[]) => proposals.apply({ type: "proposals_changed", waiting });
  return { proposals, follow, putAway, toasts, open, newChat };
}

test("a conversation is opened once, however often it is told of", async () => {
  const { follow, open, putAway } = created();

  follow(opening(1));
  follow(opening(1));

  await vi.waitFor(() => expect(putAway).toHaveBeenCalledWith({ id: 1 }));
  expect(open.mock.calls).toEqual([[41]]);
});

test("what came before the page was there is found by it", async () => {
  const { proposals, newChat } = created([{ type: "new_chat", id: 1 }]);

  await proposals.load();

  expect(newChat).toHaveBeenCalledOnce();
});

test("a refusal is shown until it is read", async () => {
  const { follow, toasts } = created();

  follow(refused(1));

  expect(toasts.shown.value).toMatchObject([{ level: "error", message: "No.", hint: "Ask again." }]);
});

test("what comes while an agent is looked at waits for its end", async () => {
  const { proposals, follow, open, putAway } = created();

  follow(agent(1), opening(2));
  expect(proposals.agent.value?.id).toBe(1);
  expect(open).not.toHaveBeenCalled();
  await proposals.putAway(1);
  follow(opening(2));

  expect(proposals.agent.value).toBeNull();
  await vi.waitFor(() => expect(open).toHaveBeenCalledWith(42));
  expect(putAway.mock.calls).toEqual([[{ id: 1 }], [{ id: 2 }]]);
});
