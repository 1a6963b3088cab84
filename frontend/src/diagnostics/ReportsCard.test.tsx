import { cleanup, fireEvent, render, screen, within } from "@testing-library/preact";
import { afterEach, expect, test } from "vitest";
import { commandsOver } from "../api.gen";
import { AppView } from "../app/AppView";
import { createApp } from "../app/app";
import { appState } from "../fakeRows";
import { type Answer, FakeServer, Refusal } from "../fakeServer";

afterEach(cleanup);

const DSN = "https://key@sentry.example/7";

async function open(dsn: string, report: Answer = () => ({ event_id: "0123456789abcdef" })) {
  const state = appState();
  let settings = { ...state.settings, sentry_dsn: dsn };
  const server = new FakeServer({
    "app.state": () => ({ ...state, settings }),
    "conversations.pinned": () => [],
    "sorting.overview": () => ({ folders: [], tags: [] }),
    "conversations.page": () => ({ conversations: [], next_cursor: null }),
    "diagnostics.recent_errors": () => [],
    "diagnostics.send_test_report": report,
    "settings.change": (changes) => {
      if (changes.sentry_dsn === "https://sentry.example/7")
        throw new Refusal("bad_setting", "This is not the DSN of a Sentry project.", "Copy it.");
      settings = { ...settings, ...changes };
      return settings;
    },
  });
  const bridge = server.bridge();
  bridge.connect();
  server.hello();
  const app = createApp(commandsOver(bridge.call, bridge.stream), { hash: "#/settings/diagnostics" });
  await app.start();
  render(<AppView app={app} isConnected={bridge.isConnected} />);
  return { server, card: within(await screen.findByRole("region", { name: "Error reports" })) };
}

const field = (card: ReturnType<typeof within>) => card.getByLabelText(/Address of the project/);

function save(card: ReturnType<typeof within>, address: string): void {
  fireEvent.input(field(card), { target: { value: address } });
  fireEvent.click(card.getByRole("button", { name: "Save" }));
}

test("nothing is sent until an address is given, and then a test says what became of it", async () => {
  const { server, card } = await open("");
  expect(screen.getByText(/Nothing is sent anywhere/)).toBeTruthy();
  expect(card.queryByRole("button", { name: "Send a test report" })).toBeNull();

  save(card, ` ${DSN} `);
  fireEvent.click(await card.findByRole("button", { name: "Send a test report" }));

  await card.findByText("sentry.example has taken it, as 01234567.");
  expect(server.params("settings.change")).toEqual([{ sentry_dsn: DSN }]);
  expect(screen.getByText(/Each new kind is reported to sentry.example/)).toBeTruthy();

  save(card, "");
  await screen.findByText(/Nothing is sent anywhere/);
  expect(server.params("settings.change").at(-1)).toEqual({ sentry_dsn: "" });
});

test("a test that fails says why", async () => {
  const { card } = await open(DSN, () => {
    throw new Refusal("report_failed", "sentry.example answered with status 500: it has a fault.", "Later.");
  });

  fireEvent.click(card.getByRole("button", { name: "Send a test report" }));

  const alert = await card.findByRole("alert");
  expect(alert.textContent).toContain("sentry.example answered with status 500: it has a fault.");
  expect(alert.textContent).toContain("Later.");
});

test("an address that is none is refused with words, and stays to be corrected", async () => {
  const { card } = await open("");

  save(card, "https://sentry.example/7");

  await screen.findByText("This is not the DSN of a Sentry project.");
  expect((field(card) as HTMLInputElement).value).toBe("https://sentry.example/7");
});
