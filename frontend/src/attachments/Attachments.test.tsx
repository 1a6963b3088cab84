import { cleanup, fireEvent, screen, waitFor, within } from "@testing-library/preact";
import { afterEach, expect, test, vi } from "vitest";
import { shownChat, violations } from "../fakeChat";
import { attachment, question, reply, startedRun } from "../fakeRows";

afterEach(() => {
  cleanup();
  vi.unstubAllGlobals();
});

const PDF = attachment(7, "plums.pdf", { media_type: "application/pdf", text_status: "waiting" });
const PICTURE = attachment(8, "plums.png", { media_type: "image/png", text_status: "none" });
const ROWS = [question(1, "Hi", { attachments: [PDF, PICTURE] }), reply(2, "Hello")];

const chip = async (name: RegExp) => screen.findByRole("button", { name });

/** What Python answers when a page is asked for: a picture, or an error. */
function servePages(answer: (number: number) => Response): string[] {
  const asked: string[] = [];
  vi.stubGlobal("fetch", async (address: string) => {
    asked.push(address);
    return answer(Number(/pages\/(\d+)/.exec(address)?.[1]));
  });
  return asked;
}

const drawn = () =>
  new Response(new Blob(["pixels"], { type: "image/png" }), { headers: { "deskside-pages": "3" } });

test("the pages of a PDF are shown one by one", async () => {
  const asked = servePages(drawn);
  await shownChat(ROWS);
  fireEvent.click(await chip(/plums.pdf/));
  await screen.findByText("Page 1 of 3");
  expect(await violations()).toEqual([]);
  expect(screen.getByRole<HTMLButtonElement>("button", { name: "Previous page" }).disabled).toBe(true);

  fireEvent.click(screen.getByRole("button", { name: "Next page" }));
  await screen.findByRole("img", { name: "Page 2 of plums.pdf" });
  fireEvent.click(screen.getByRole("button", { name: "Next page" }));
  await screen.findByText("Page 3 of 3");

  await waitFor(() => expect(asked).toHaveLength(3));
  expect(asked[2]).toContain("/attachments/7/pages/3?sha256=");
  expect(screen.getByRole<HTMLButtonElement>("button", { name: "Next page" }).disabled).toBe(true);
});

test("a page that cannot be drawn says why, and the others stay within reach", async () => {
  const error = { code: "invalid_request", message: "It is damaged.", hint: "", retryable: false };
  servePages((number) => (number === 2 ? Response.json({ error }, { status: 400 }) : drawn()));
  await shownChat(ROWS);
  fireEvent.click(await chip(/plums.pdf/));
  await screen.findByText("Page 1 of 3");

  fireEvent.click(screen.getByRole("button", { name: "Next page" }));
  await screen.findByText("It is damaged.");
  fireEvent.click(screen.getByRole("button", { name: "Next page" }));

  await screen.findByRole("img", { name: "Page 3 of plums.pdf" });
});

test("a question shows its files, and a file what was read out of it, page by page", async () => {
  servePages(drawn);
  const { server } = await shownChat(ROWS, {
    "attachments.text": () => ({ text: "[Page 1]\nCold\n[Page 2]\nplums", next: null }),
  });
  await screen.findByText("Reading…");
  server.publish({ type: "attachment_changed", attachment: { ...PDF, text_status: "ready" } });
  await screen.findByText("2 KB");

  fireEvent.click(await chip(/plums.pdf/));

  const dialog = await screen.findByRole("dialog", { name: "plums.pdf" });
  fireEvent.click(within(dialog).getByRole("button", { name: "Text" }));
  expect(await within(dialog).findAllByRole("heading", { name: /^Page/ })).toHaveLength(2);
  expect(await violations()).toEqual([]);
});

test("a long text comes piece by piece", async () => {
  const row = attachment(9, "plums.txt");
  const { server } = await shownChat([question(1, "Hi", { attachments: [row] })], {
    "attachments.text": ({ start }) =>
      start === 0 ? { text: "Cold ", next: 5 } : { text: "plums", next: null },
  });
  fireEvent.click(await chip(/plums.txt/));
  await screen.findByText("Cold");

  fireEvent.click(await screen.findByRole("button", { name: "Show more" }));

  await screen.findByText("Cold plums");
  expect(screen.queryByRole("button", { name: "Show more" })).toBeNull();
  expect(server.params("attachments.text")).toEqual([
    { id: 9, start: 0 },
    { id: 9, start: 5 },
  ]);
});

test("a picture is shown, and said to be gone where it is", async () => {
  await shownChat(ROWS);
  fireEvent.click(await chip(/plums.png/));
  const picture = await screen.findByRole("img", { name: "plums.png" });
  expect(picture.getAttribute("src")).toContain("/attachments/8?");

  fireEvent.error(picture);

  await screen.findByText(/This picture cannot be shown/);
});

test.each([
  [{ text_status: "failed", text_error: "It is damaged." }, "It is damaged."],
  [{ text_status: "none" }, /cannot be shown/],
  [{ text_status: "ready", hidden_characters: 3 }, /3 invisible characters/],
] as const)("a file says what is the matter with it: %o", async (changes, words) => {
  await shownChat([question(1, "Hi", { attachments: [attachment(9, "plums.txt", changes)] })], {
    "attachments.text": () => ({ text: "", next: null }),
  });

  fireEvent.click(await chip(/plums.txt/));

  await screen.findByText(words);
});

test("files go with the question, without any words, too", async () => {
  const rows = [attachment(11, "a.txt"), attachment(12, "b.txt")];
  const { server } = await shownChat(ROWS, {
    "attachments.draft": () => rows,
    "runs.start": () =>
      startedRun(question(3, "", { attachments: rows }), reply(4, "", { status: "streaming" })),
  });
  await screen.findByRole("button", { name: "Remove b.txt" });
  expect(await violations()).toEqual([]);

  fireEvent.click(screen.getByTestId("chat-send"));

  await waitFor(() => expect(screen.queryByTestId("attachments")).toBeNull());
  expect(server.params("runs.start")[0]).toMatchObject({ text: "", attachment_ids: [11, 12] });
});

test("while an answer is written, files wait, and what is typed stays with them", async () => {
  const { server } = await shownChat([question(1, "Hi"), reply(2, "He", { status: "streaming" })], {
    "attachments.draft": () => [attachment(11, "a.txt")],
  });
  await screen.findByText(/takes no files/);
  const field = screen.getByTestId<HTMLTextAreaElement>("chat-input");
  fireEvent.input(field, { target: { value: "And this" } });

  fireEvent.keyDown(field, { key: "Enter" });

  await screen.findByText(/Wait until it has ended/);
  expect(screen.queryByTestId("chat-steer")).toBeNull();
  expect(field.value).toBe("And this");
  expect(server.params("runs.steer")).toEqual([]);
});

test("a question that is asked again keeps its files, and may lose its words", async () => {
  const { server } = await shownChat(ROWS, {
    "runs.ask_instead": () =>
      startedRun(
        question(3, "", { parent_id: null, versions: [1, 3], attachments: [PICTURE] }),
        reply(4, "", { parent_id: 3, status: "streaming" }),
      ),
  });
  fireEvent.click(await screen.findByRole("button", { name: "Edit" }));
  const editor = await screen.findByTestId("question-editor");
  expect(within(editor).getAllByTestId("attachment")).toHaveLength(2);

  fireEvent.input(within(editor).getByLabelText("Your question"), { target: { value: "" } });
  fireEvent.click(within(editor).getByRole("button", { name: "Send" }));

  await waitFor(() =>
    expect(server.params("runs.ask_instead")).toEqual([{ message_id: 1, text: "", model: null }]),
  );
});

test("the page says which files an answer waits for", async () => {
  await shownChat([question(1, "Hi", { attachments: [PDF] }), reply(2, "", { status: "streaming" })]);

  await screen.findByText("Reading plums.pdf");
});
