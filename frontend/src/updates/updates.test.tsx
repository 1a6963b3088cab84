import { cleanup, fireEvent, render, screen, waitFor, within } from "@testing-library/preact";
import { afterEach, expect, test } from "vitest";
import { commandsOver, type NewerRelease, type UpdateState } from "../api.gen";
import { AppView } from "../app/AppView";
import { createApp } from "../app/app";
import { violations } from "../fakeChat";
import { appState, NOON_MS } from "../fakeRows";
import { FakeServer } from "../fakeServer";

afterEach(cleanup);

const newer = (changes: Partial<NewerRelease> = {}): NewerRelease => ({
  version: "0.2.0",
  date: "2026-12-01",
  notes: "- **Faster**, see [more](https://deskside.example).\n- <img src=x onerror=alert(1)>",
  download: "https://deskside.example/linux",
  is_skipped: false,
  ...changes,
});
const known = (changes: Partial<UpdateState> = {}): UpdateState => ({
  version: "0.1.0",
  why_not: "",
  looked_ms: NOON_MS,
  problem: "",
  newer: newer(),
  is_supported: true,
  ...changes,
});

/** The page over a fake server that knows this of newer versions. */
async function shown(state: UpdateState, { hash = "#/chat", looks = true, found = state } = {}) {
  const settings = { ...appState().settings, looks_for_updates: looks };
  const server = new FakeServer({
    "app.state": () => ({ ...appState(), settings }),
    "conversations.pinned": () => [],
    "sorting.overview": () => ({ folders: [], tags: [] }),
    "conversations.page": () => ({ conversations: [], next_cursor: null }),
    "updates.status": () => state,
    "updates.look": () => found,
    "updates.skip": ({ version }) => known({ newer: newer({ is_skipped: version === "0.2.0" }) }),
    "settings.change": (changes) => ({ ...settings, ...changes }),
    "desktop.open_link": () => null,
  });
  const bridge = server.bridge({
    onEvents: (events, n) => {
      for (const event of events) app.apply(event, n);
    },
    onReset: () => void app.reset(),
  });
  const app = createApp(commandsOver(bridge.call, bridge.stream), { hash });
  render(<AppView app={app} isConnected={bridge.isConnected} />);
  bridge.connect();
  server.hello();
  await app.start();
  return server;
}

const asked = (server: FakeServer, cmd: string) => server.calls.filter((call) => call.cmd === cmd);
const button = (name: string) => screen.getByRole("button", { name });

test("a newer version is told, with its notes made safe, and got from its page", async () => {
  const server = await shown(known());
  const bar = await screen.findByTestId("update-bar");
  expect(bar.textContent).toContain("Deskside 0.2.0 is available.");
  fireEvent.click(within(bar).getByRole("button", { name: "What is new" }));

  const dialog = await screen.findByTestId("update-dialog");
  await waitFor(() => expect(dialog.querySelector("strong")?.textContent).toBe("Faster"));
  expect(dialog.querySelector("img")).toBeNull();
  expect(dialog.textContent).toContain("You have 0.1.0.");
  expect(await violations()).toEqual([]);

  fireEvent.click(button("Get it"));
  await waitFor(() =>
    expect(asked(server, "desktop.open_link")[0]?.params).toEqual({ url: "https://deskside.example/linux" }),
  );
  expect(screen.queryByTestId("update-bar")).toBeNull();
});

test("a version that is skipped is not told of again", async () => {
  const server = await shown(known());
  fireEvent.click(
    within(await screen.findByTestId("update-bar")).getByRole("button", { name: "What is new" }),
  );
  fireEvent.click(button("Skip this version"));

  await waitFor(() => expect(screen.queryByTestId("update-bar")).toBeNull());
  expect(asked(server, "updates.skip")[0]?.params).toEqual({ version: "0.2.0" });
  expect(screen.queryByTestId("update-dialog")).toBeNull();
});

test("who wants to hear of it later is left alone until there is another one", async () => {
  const server = await shown(known());
  await screen.findByTestId("update-bar");
  fireEvent.click(button("Tell me later"));
  expect(screen.queryByTestId("update-bar")).toBeNull();

  server.publish({ type: "updates_changed", state: known({ newer: newer({ version: "0.3.0" }) }) });
  expect((await screen.findByTestId("update-bar")).textContent).toContain("0.3.0");
});

test("nothing is told to who does not want it, or has the newest", async () => {
  await shown(known(), { looks: false });
  await waitFor(() => expect(screen.queryByTestId("update-bar")).toBeNull());
  cleanup();

  const server = await shown(known({ newer: null }));
  await waitFor(() => expect(asked(server, "updates.status")).toHaveLength(1));
  expect(screen.queryByTestId("update-bar")).toBeNull();
});

test("the settings say how it stands, look now, and turn the daily look off", async () => {
  const server = await shown(known({ newer: null, looked_ms: null }), {
    hash: "#/settings/about",
    found: known(),
  });
  const state = await screen.findByTestId("update-state");
  expect(state.textContent).toContain("Deskside has not looked yet.");
  fireEvent.click(button("Look now"));

  await waitFor(() =>
    expect(screen.getByTestId("update-state").textContent).toContain("Deskside 0.2.0 is available."),
  );
  fireEvent.click(screen.getByRole("switch", { name: "Look for newer versions each day" }));
  await waitFor(() =>
    expect(asked(server, "settings.change")[0]?.params).toEqual({ looks_for_updates: false }),
  );
});

test("the settings say why a look failed, and that a version is skipped", async () => {
  await shown(
    known({
      newer: newer({ is_skipped: true }),
      problem: "The update server could not be reached.",
    }),
    {
      hash: "#/settings/about",
    },
  );
  const state = await screen.findByTestId("update-state");
  expect(state.textContent).toContain("You chose to skip it.");
  expect(state.textContent).toContain("could not be reached");

  fireEvent.click(button("Do not skip it"));
  await waitFor(() =>
    expect(screen.getByTestId("update-state").textContent).not.toContain("You chose to skip it."),
  );
});

test("a package of a distribution offers no look, and says who brings updates", async () => {
  const why_not = "This Deskside comes from Debian, and so do its updates. Run: sudo apt upgrade";
  await shown(known({ newer: null, why_not }), { hash: "#/settings/about" });

  expect(await screen.findByText(why_not)).toBeDefined();
  expect(screen.queryByRole("button", { name: "Look now" })).toBeNull();
  expect(screen.queryByRole("switch")).toBeNull();
});
