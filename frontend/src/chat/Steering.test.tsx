import { cleanup, fireEvent, screen, waitFor } from "@testing-library/preact";
import { afterEach, expect, test } from "vitest";
import { shownChat } from "../fakeChat";
import { conversationRow, question, reply, textAppended } from "../fakeRows";
import { Refusal } from "../fakeServer";

afterEach(cleanup);

const streaming = reply(2, "Flats and shops", { status: "streaming" });
const input = () => screen.getByTestId<HTMLTextAreaElement>("chat-input");
const type = (text: string) => fireEvent.input(input(), { target: { value: text } });
const enter = () => fireEvent.keyDown(input(), { key: "Enter" });

test("what is typed during an answer goes to it with Enter, and is shown until it was read", async () => {
  const { server } = await shownChat([question(1, "Hi"), streaming], {
    "runs.steer": ({ text }) => ({ ...streaming, steering: [text] }),
  });
  await screen.findByTestId("chat-stop");

  type("Only flats");
  enter();
  await screen.findByText("Will be read at the next step");
  const left = input().value;
  server.publish({
    type: "part_changed",
    conversation_id: 1,
    message_id: 2,
    position: 1,
    part: { kind: "user", text: "Only flats" },
  });
  server.publish({
    type: "message_changed",
    message: { ...streaming, parts: [...streaming.parts, { kind: "user", text: "Only flats" }] },
  });
  server.publish(textAppended(2, 0, "Flats, then.", { position: 2 }));

  await screen.findByText("Flats, then.");
  expect(server.params("runs.steer")).toEqual([{ message_id: 2, text: "Only flats" }]);
  expect(server.params("runs.start")).toEqual([]);
  expect(left).toBe("");
  expect(screen.queryByText("Will be read at the next step")).toBeNull();
  expect(screen.getByTestId("chat-response").textContent).toContain("Only flats");
});

test("an answer can be stopped while something is typed for it", async () => {
  const { server } = await shownChat([question(1, "Hi"), streaming], {
    "runs.stop": () => null,
    "runs.steer": ({ text }) => ({ ...streaming, steering: [text] }),
  });

  type("Only flats");
  fireEvent.click(await screen.findByTestId("chat-steer"));
  await screen.findByText("Will be read at the next step");
  type("Never mind");
  await screen.findByTestId("chat-steer");
  fireEvent.click(screen.getByTestId("chat-stop"));

  await waitFor(() => expect(server.params("runs.stop")).toEqual([{ message_id: 2 }]));
  expect(input().value).toBe("Never mind");
});

test("what an answer could not take stays in the composer", async () => {
  await shownChat([question(1, "Hi"), streaming], {
    "runs.steer": () => {
      throw new Refusal("conflict", "The answer has ended.", "Send it as a question.");
    },
  });
  await screen.findByTestId("chat-stop");

  type("Only flats");
  enter();

  await screen.findByText("The answer has ended.");
  expect(input().value).toBe("Only flats");
});

test("what was not read when the answer ended is back in the composer", async () => {
  const { server } = await shownChat([question(1, "Hi"), streaming], {
    "runs.steer": ({ text }) => ({ ...streaming, steering: [text] }),
  });
  await screen.findByTestId("chat-stop");
  type("Only flats");
  enter();
  await screen.findByText("Will be read at the next step");

  server.publish(
    { type: "message_changed", message: { ...streaming, status: "complete" } },
    { type: "conversation_changed", conversation: conversationRow({ draft: "Only flats" }) },
  );

  await waitFor(() => expect(input().value).toBe("Only flats"));
  expect(screen.queryByText("Will be read at the next step")).toBeNull();
});
