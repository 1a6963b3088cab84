import { cleanup, fireEvent, screen, waitFor, within } from "@testing-library/preact";
import { afterEach, expect, test } from "vitest";
import type { ToolCallPart } from "../api.gen";
import { armed, armedButton, shownChat, violations } from "../fakeChat";
import { approval, question, reply, toolCall, waitingCall } from "../fakeRows";
import { Refusal } from "../fakeServer";

afterEach(cleanup);

const asked = (call: ToolCallPart, ...more: ToolCallPart[]) => [
  question(1, "Plan my week"),
  reply(2, "", { status: "streaming", parts: [{ kind: "text", text: "I write it down." }, call, ...more] }),
];
const changed = (part: ToolCallPart, position = 1) =>
  ({ type: "part_changed", conversation_id: 1, message_id: 2, position, part }) as const;

test("the card says who asks for what, why, and all that would happen", async () => {
  const call = waitingCall(
    { arguments: '{"path":"pl\u200ban.md","id":12345678901234567890,"content":"a\\nb"}' },
    {
      summary: "Writes plan.md.",
      diff: "@@ -1 +1 @@\n-Monday: pizza\n+Monday: soup\n",
      reasons: ["write_file changes files."],
      outside: ["https://example.org/law"],
    },
  );
  await shownChat(asked(call));

  const card = within(await screen.findByRole("group", { name: /Assistant asks to use write_file/ }));

  expect(card.getByText("Writes plan.md.")).toBeTruthy();
  expect(card.getByText("write_file changes files.")).toBeTruthy();
  expect(card.getByText("https://example.org/law")).toBeTruthy();
  expect(card.getByRole("group", { name: "Changes" }).textContent).toContain("-Monday: pizza+Monday: soup");
  const shown = card.getByRole("group", { name: "Arguments" }).textContent;
  expect(shown).toContain('"path": "pl⟨U+200B⟩an.md"');
  expect(shown).toContain("12345678901234567890");
});

test("allowing once is sent with the place of the call, and the call says so afterwards", async () => {
  const call = waitingCall();
  const { server } = await shownChat(asked(call));

  fireEvent.click(await armed(await screen.findByTestId("tool-approve")));
  await waitFor(() =>
    expect(server.params("runs.decide")).toEqual([
      { message_id: 2, position: 1, decision: "approved", scope: "once", arguments: null },
    ]),
  );
  server.publish(changed({ ...call, status: "running", approval: approval({ decision: "approved" }) }));

  await screen.findByText("Allowed once by you");
  expect(screen.queryByTestId("tool-approve")).toBeNull();
});

test("a card that just appeared takes no focus and cannot be pressed yet", async () => {
  const { server } = await shownChat(asked(waitingCall({}, { scopes: ["run"] })));

  const before = document.activeElement;
  for (const button of within(await screen.findByTestId("approval")).getAllByRole("button")) {
    if (button.hasAttribute("aria-disabled")) fireEvent.click(button);
  }
  await armed(screen.getByTestId("tool-approve"));

  expect(server.params("runs.decide")).toEqual([]);
  expect(screen.queryByRole("menu")).toBeNull();
  expect(document.activeElement).toBe(before);
  expect(before).toBe(screen.getByTestId("chat-input"));
});

test("a key that is held down presses no button", async () => {
  await shownChat(asked(waitingCall()));
  const button = await armed(await screen.findByTestId("tool-approve"));

  const isDefault = fireEvent.keyDown(button, { key: "Enter", repeat: true });

  expect(isDefault).toBe(false);
});

test("a wider permission can be given only where it is offered", async () => {
  const { server } = await shownChat(
    asked(waitingCall({}, { scopes: ["run", "agent"] }), waitingCall({ call_id: "call_2" })),
  );
  const [first, second] = (await screen.findAllByTestId("approval")).map((card) => within(card));
  if (!first || !second) throw new Error("no cards");

  fireEvent.click(await armed(first.getByRole("button", { name: "Allow for longer" })));
  const offered = screen.getAllByRole("menuitem").map((item) => item.textContent);
  fireEvent.click(screen.getByRole("menuitem", { name: "Always allow for Assistant" }));
  await waitFor(() => expect(server.params("runs.decide")).toHaveLength(1));

  expect(offered).toEqual(["Allow for this answer", "Always allow for Assistant"]);
  expect(server.params("runs.decide")[0]).toMatchObject({ position: 1, scope: "agent" });
  expect(second.queryByRole("button", { name: "Allow for longer" })).toBeNull();
});

test("a denial carries the reason, and the call shows it", async () => {
  const call = waitingCall();
  const { server } = await shownChat(asked(call));

  fireEvent.click(await screen.findByRole("button", { name: "Add a reason" }));
  fireEvent.input(screen.getByLabelText("Why not? The model reads this."), {
    target: { value: "Wrong file " },
  });
  fireEvent.click(await armed(screen.getByTestId("tool-deny")));
  await waitFor(() =>
    expect(server.params("runs.decide")).toEqual([
      { message_id: 2, position: 1, decision: "denied", reason: "Wrong file" },
    ]),
  );
  const answered = approval({ decision: "denied", reason: "Wrong file" });
  server.publish(changed({ ...call, status: "failed", output: "The user said no.", approval: answered }));

  await screen.findByText("Denied: Wrong file");
  expect(screen.getByTestId("tool-call").textContent).toContain("Denied");
});

test("changed arguments are sent if they can be read, and the model's stay to be seen", async () => {
  const call = waitingCall({ arguments: '{"path": "a\u200b.md"}' });
  const { server } = await shownChat(asked(call));

  fireEvent.click(await screen.findByRole("button", { name: "Edit arguments" }));
  const editor = screen.getByLabelText<HTMLTextAreaElement>("Arguments");
  const offered = editor.value;
  fireEvent.input(editor, { target: { value: '{"path": ' } });
  await screen.findByText(/not valid JSON/);
  const whileBroken = screen.getByTestId("tool-approve").getAttribute("aria-disabled");
  fireEvent.input(editor, { target: { value: '{"path": "b.md"}' } });
  fireEvent.click(await armedButton("Allow once, as changed"));
  await waitFor(() => expect(server.params("runs.decide")).toHaveLength(1));
  const answered = approval({ decision: "approved", arguments_before: call.arguments });
  server.publish(changed({ ...call, status: "finished", arguments: '{"path": "b.md"}', approval: answered }));
  fireEvent.click(await screen.findByText("You changed the arguments"));

  expect(offered).toContain("a\\u200b.md");
  expect(whileBroken).toBe("true");
  expect(server.params("runs.decide")[0]).toMatchObject({ arguments: '{"path": "b.md"}' });
  expect(screen.getByRole("group", { name: "What the model had written" }).textContent).toContain(
    "a⟨U+200B⟩.md",
  );
});

test("arguments that were opened and not changed are not sent", async () => {
  const { server } = await shownChat(asked(waitingCall()));

  fireEvent.click(await screen.findByRole("button", { name: "Edit arguments" }));
  fireEvent.click(await armed(screen.getByTestId("tool-approve")));
  await waitFor(() => expect(server.params("runs.decide")).toHaveLength(1));

  expect(server.params("runs.decide")[0]).toMatchObject({ arguments: null });
});

test("Escape in a field of the card does not stop the answer", async () => {
  const { server } = await shownChat(asked(waitingCall()), { "runs.stop": () => null });

  fireEvent.click(await screen.findByRole("button", { name: "Edit arguments" }));
  fireEvent.keyDown(screen.getByLabelText("Arguments"), { key: "Escape" });
  fireEvent.keyDown(screen.getByTestId("chat-input"), { key: "Escape" });
  await waitFor(() => expect(server.params("runs.stop")).toHaveLength(1));

  expect(screen.getByLabelText("Arguments")).toBeTruthy();
});

test("a decision that could not be stored says why and can be made again", async () => {
  let isFull = true;
  const { server } = await shownChat(asked(waitingCall()), {
    "runs.decide": () => {
      if (isFull) throw new Refusal("store_full", "The disk is full.", "Free some space.");
      return null;
    },
  });

  fireEvent.click(await armed(await screen.findByTestId("tool-approve")));
  await screen.findByText("The disk is full.");
  isFull = false;
  fireEvent.click(await armed(screen.getByTestId("tool-approve")));

  await waitFor(() => expect(server.params("runs.decide")).toHaveLength(2));
  await waitFor(() => expect(screen.queryByText("The disk is full.")).toBeNull());
});

test("a call that waited when Deskside was closed can still be answered, and nothing else goes on", async () => {
  const [first, second] = asked(waitingCall());
  const { server } = await shownChat(
    [question(1, "Plan my week"), { ...(second ?? reply(2, "")), status: "interrupted" }],
    {},
    { is_waiting: true },
  );

  await screen.findByText("Deskside was closed while this waited for you. Answer above, and it goes on.");
  const goesOn = screen.queryByRole("button", { name: "Continue" });
  fireEvent.click(await armed(screen.getByTestId("tool-approve")));
  await waitFor(() => expect(server.params("runs.decide")).toHaveLength(1));
  server.publish(changed(toolCall({ call_id: "call_1", status: "failed" })));

  await screen.findByRole("button", { name: "Continue" });
  expect(first?.role).toBe("user");
  expect(goesOn).toBeNull();
  expect(screen.getByTestId("conversation-item").textContent).toContain("Needs you");
});

test("assistive technology is told that Deskside asks", async () => {
  await shownChat(asked(waitingCall()));

  await screen.findByText("Deskside asks you: may Assistant use write_file?");
});

test("after the answer the keyboard goes on at the call", async () => {
  const call = waitingCall();
  const { server } = await shownChat(asked(call));
  const button = await armed(await screen.findByTestId("tool-approve"));
  button.focus();

  fireEvent.click(button);
  server.publish(changed({ ...call, status: "running", approval: approval({ decision: "approved" }) }));
  await screen.findByText("Allowed once by you");

  await waitFor(() => expect(document.activeElement?.tagName).toBe("SUMMARY"));
});

test("a card that waits, and one that is being edited, have no accessibility violations", async () => {
  await shownChat(
    asked(
      waitingCall(
        {},
        { diff: "@@ -1 +1 @@\n-a\n+b", reasons: ["It writes."], outside: ["x"], scopes: ["run"] },
      ),
      waitingCall(
        { call_id: "call_2", name: "run_python", arguments: '{"code":"a\\nb"}' },
        { effect: "execute" },
      ),
    ),
  );
  await screen.findAllByTestId("approval");
  const asItCame = await violations();

  fireEvent.click(screen.getAllByRole("button", { name: "Edit arguments" })[0] as HTMLElement);
  fireEvent.click(screen.getAllByRole("button", { name: "Add a reason" })[0] as HTMLElement);
  fireEvent.click(await armed(screen.getByRole("button", { name: "Allow for longer" })));
  await screen.findByRole("menu");

  expect(asItCame).toEqual([]);
  expect(await violations()).toEqual([]);
});
