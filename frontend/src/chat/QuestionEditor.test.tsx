import { cleanup, fireEvent, screen, waitFor } from "@testing-library/preact";
import { afterEach, expect, test } from "vitest";
import { shownChat, violations } from "../fakeChat";
import { conversationRow, question, reply, startedRun } from "../fakeRows";
import { Refusal } from "../fakeServer";

afterEach(cleanup);

const ROWS = [question(1, "Hi"), reply(2, "Hello")];

test("a question asked in other words takes the place of the old one", async () => {
  const { server } = await shownChat(ROWS, {
    "runs.ask_instead": () =>
      startedRun(
        question(3, "Hey", { parent_id: null, versions: [1, 3] }),
        reply(4, "", { parent_id: 3, status: "streaming" }),
      ),
  });
  fireEvent.click(await screen.findByRole("button", { name: "Edit" }));
  const field = await screen.findByLabelText<HTMLTextAreaElement>("Your question");
  expect(field.value).toBe("Hi");
  expect(await violations()).toEqual([]);

  fireEvent.input(field, { target: { value: "Hey" } });
  fireEvent.keyDown(field, { key: "Enter" });

  await waitFor(() => expect(screen.queryByTestId("question-editor")).toBeNull());
  expect(server.params("runs.ask_instead")).toEqual([{ message_id: 1, text: "Hey", model: null }]);
});

test("what was typed stays where it cannot be sent", async () => {
  const { server } = await shownChat(ROWS, {
    "runs.ask_instead": () => {
      throw new Refusal("store_full", "The disk is full.");
    },
  });
  fireEvent.click(await screen.findByRole("button", { name: "Edit" }));
  const field = await screen.findByLabelText<HTMLTextAreaElement>("Your question");

  fireEvent.input(field, { target: { value: "Hey" } });
  fireEvent.click(screen.getByRole("button", { name: "Send", description: "" }));

  await screen.findByText("The disk is full.");
  expect(field.value).toBe("Hey");
  expect(server.params("runs.ask_instead")).toHaveLength(1);
});

test("Escape closes the editor and changes nothing", async () => {
  const { server } = await shownChat(ROWS);
  fireEvent.click(await screen.findByRole("button", { name: "Edit" }));
  const field = await screen.findByLabelText("Your question");

  fireEvent.input(field, { target: { value: "Hey" } });
  fireEvent.keyDown(field, { key: "Escape" });

  await screen.findByText("Hi");
  expect(server.params("runs.ask_instead")).toEqual([]);
});

test("a fork is opened as a conversation of its own", async () => {
  const fork = conversationRow({ id: 9, title: "Plums (fork)" });
  const { server, app } = await shownChat(ROWS, { "conversations.fork": () => fork });

  await waitFor(() => expect(screen.getAllByRole("button", { name: /^Fork/ })).toHaveLength(2));
  fireEvent.click(screen.getAllByRole("button", { name: /^Fork/ })[1] as HTMLElement);

  await waitFor(() => expect(app.conversation.value.row.value?.id).toBe(9));
  expect(server.params("conversations.fork")).toEqual([{ message_id: 2 }]);
});
