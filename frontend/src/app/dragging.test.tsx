import { cleanup, createEvent, fireEvent, screen, waitFor } from "@testing-library/preact";
import { afterEach, expect, test } from "vitest";
import { shownChat } from "../fakeChat";
import { appState, attachment, question, reply } from "../fakeRows";
import { Refusal } from "../fakeServer";

afterEach(cleanup);

const ROWS = [question(1, "Hi", { attachments: [attachment(7, "plums.txt")] }), reply(2, "Hello")];
const WINDOW = { "app.state": () => appState({ drags_files: true }) };

/** Begins to drag it; returns what the browser would drag by itself, null where it is not to. */
function dragStart(what: Element): Map<string, string> | null {
  const offered = new Map<string, string>();
  const event = createEvent.dragStart(what);
  const dataTransfer = { setData: (kind: string, text: string) => offered.set(kind, text) };
  Object.defineProperty(event, "dataTransfer", { value: dataTransfer });
  fireEvent(what, event);
  return event.defaultPrevented ? null : offered;
}

const chip = () => screen.findByRole("button", { name: /plums.txt/ });
const conversation = () => waitFor(() => document.querySelector(".conversation-link") as Element);

/** Moves something over the page, and says which effect it has there. */
function dragOver(): string {
  const event = createEvent.dragOver(document.body);
  const dataTransfer = { types: ["Files"], dropEffect: "copy" };
  Object.defineProperty(event, "dataTransfer", { value: dataTransfer });
  fireEvent(document.body, event);
  return dataTransfer.dropEffect;
}

test("the window drags an attachment as a file, and nothing of it is dropped here", async () => {
  let end = (_: unknown) => {};
  const ended = new Promise((resolve) => {
    end = resolve;
  });
  const { server } = await shownChat(ROWS, { ...WINDOW, "desktop.drag_attachment": () => ended });

  expect(dragStart(await chip())).toBeNull();

  await waitFor(() => expect(server.params("desktop.drag_attachment")).toEqual([{ id: 7 }]));
  await waitFor(() => expect(dragOver()).toBe("none"));
  end({ is_taken: true });
  await waitFor(() => expect(dragOver()).toBe("copy"));
});

test("the window drags a conversation as a file, with the link for programs that take none", async () => {
  const { server } = await shownChat(
    ROWS,
    { ...WINDOW, "desktop.drag_conversation": () => ({ is_taken: false }) },
    { title: "<Plums> [cold]" },
  );

  expect(dragStart(await conversation())).toBeNull();

  const url = "deskside://conversation/1";
  await waitFor(() =>
    expect(server.params("desktop.drag_conversation")).toEqual([
      {
        id: 1,
        text: `[<Plums> \\[cold\\]](${url})`,
        html: `<a href="${url}">&lt;Plums&gt; [cold]</a>`,
      },
    ]),
  );
});

test("without a window the browser drags a conversation as a link, and files not at all", async () => {
  const { server } = await shownChat(ROWS);

  expect((await chip()).getAttribute("draggable")).not.toBe("true");
  expect(dragStart(await conversation())?.get("text/plain")).toContain("deskside://conversation/1");
  expect(server.params("desktop.drag_conversation")).toEqual([]);
});

test("letting go above what was dragged is no click, and the next click is one", async () => {
  await shownChat(ROWS, {
    ...WINDOW,
    "attachments.text": () => ({ text: "cold", next: null }),
    "desktop.drag_attachment": () => ({ is_taken: false }),
  });
  const file = await chip();
  dragStart(file);

  fireEvent.click(file);
  expect(screen.queryByTestId("file-preview")).toBeNull();

  fireEvent.pointerDown(file);
  fireEvent.click(file);
  await screen.findByTestId("file-preview");
});

test("a drag that ends elsewhere does not cost the next click", async () => {
  await shownChat(ROWS, {
    ...WINDOW,
    "attachments.text": () => ({ text: "cold", next: null }),
    "desktop.drag_attachment": () => ({ is_taken: true }),
  });
  const file = await chip();
  dragStart(file);

  fireEvent.pointerDown(file);
  fireEvent.click(file);

  await screen.findByTestId("file-preview");
});

test("a file that is gone says so", async () => {
  await shownChat(ROWS, {
    ...WINDOW,
    "desktop.drag_attachment": () => {
      throw new Refusal("not_found", "The file 'plums.txt' is not there any more.");
    },
  });

  dragStart(await chip());

  await screen.findByText("The file 'plums.txt' is not there any more.");
});
