import { cleanup, fireEvent, screen, waitFor } from "@testing-library/preact";
import { afterEach, expect, test } from "vitest";
import type { Elicitation } from "../api.gen";
import { armedButton, shownChat, violations } from "../fakeChat";
import { question, reply, toolCall } from "../fakeRows";

afterEach(cleanup);

function asked(changes: Partial<Elicitation>) {
  const elicitation = {
    server: "rooms",
    message: "Which room?",
    schema: null,
    url: "",
    of_calls: 1,
    ...changes,
  };
  const call = toolCall({ name: "book", status: "running", output: null, elicitation });
  return [question(1, "Book it"), reply(2, "", { status: "streaming", parts: [call] })];
}

const schema = {
  type: "object",
  required: ["room", "people"],
  properties: {
    room: { type: "string", title: "Room", enum: ["a", "b"], enumNames: ["Garden", "Street"] },
    people: { type: "integer", title: "People", minimum: 1, description: "At least one." },
    day: { type: "string", title: "Day", format: "date" },
    coffee: { type: "boolean", title: "Coffee", default: true },
    extras: { type: "array", title: "Extras", items: { type: "string", enum: ["Screen", "Board"] } },
  },
};

test("a server's form says who asks, holds back what is not right, and is sent in the types it wants", async () => {
  const { server } = await shownChat(asked({ schema }));
  await screen.findByRole("group", { name: "The server rooms asks you" });
  expect(screen.getByTestId("tool-call").textContent).toContain("Needs you");

  fireEvent.click(await armedButton("Send"));
  await screen.findAllByText("This is needed.");
  await waitFor(() => expect(document.activeElement).toBe(screen.getByLabelText("Room")));
  const early = server.params("runs.answer_elicitation").length;
  fireEvent.change(screen.getByLabelText("Room"), { target: { value: "b" } });
  fireEvent.input(screen.getByLabelText("People"), { target: { value: "3" } });
  fireEvent.click(screen.getByLabelText("Board"));
  fireEvent.click(await armedButton("Send"));

  await waitFor(() =>
    expect(server.params("runs.answer_elicitation")).toEqual([
      {
        message_id: 2,
        position: 0,
        action: "accept",
        content: { room: "b", people: 3, coffee: true, extras: ["Board"] },
      },
    ]),
  );
  expect(early).toBe(0);
});

test.each([
  ["Decline", "decline"],
  ["Cancel", "cancel"],
])("%s needs no values", async (name, action) => {
  const { server } = await shownChat(asked({ schema }));

  fireEvent.click(await armedButton(name));

  await waitFor(() =>
    expect(server.params("runs.answer_elicitation")).toEqual([{ message_id: 2, position: 0, action }]),
  );
});

test("a page is shown with its whole address, and opened only by a press", async () => {
  const url = `https://xn--pple-43d.example/login?state=${"x".repeat(300)}&to=\u202ecod.exe`;
  const { server } = await shownChat(asked({ url }), { "desktop.open_link": () => null });

  const card = await screen.findByTestId("elicitation");
  const before = server.params("desktop.open_link");
  fireEvent.click(await armedButton("Open the page"));
  await waitFor(() => expect(server.params("runs.answer_elicitation")).toHaveLength(1));

  expect(card.textContent).toContain(url.replace("\u202e", "⟨U+202E⟩"));
  expect(card.textContent).toContain("Leads to xn--pple-43d.example");
  expect(before).toEqual([]);
  expect(server.params("desktop.open_link")).toEqual([{ url }]);
  expect(server.params("runs.answer_elicitation")).toEqual([
    { message_id: 2, position: 0, action: "accept" },
  ]);
});

test("a question that is for one of several calls says so", async () => {
  await shownChat(asked({ schema, of_calls: 2 }));

  const card = await screen.findByTestId("elicitation");

  expect(card.textContent).toContain("2 of its calls are under way.");
});

test("a server's form has no accessibility violations, also when something is wrong", async () => {
  await shownChat(asked({ schema }));
  fireEvent.click(await armedButton("Send"));
  await screen.findAllByText("This is needed.");

  expect(await violations()).toEqual([]);
});
