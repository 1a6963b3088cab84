import { cleanup, fireEvent, render, screen, waitFor, within } from "@testing-library/preact";
import { afterEach, expect, test } from "vitest";
import { commandsOver, type HostTotal, type NetworkRow } from "../api.gen";
import { AppView } from "../app/AppView";
import { createApp } from "../app/app";
import { violations } from "../fakeChat";
import { appState, NOON_MS } from "../fakeRows";
import { FakeServer } from "../fakeServer";

afterEach(cleanup);

const use = (id: number, changes: Partial<NetworkRow> = {}): NetworkRow => ({
  id,
  at_ms: NOON_MS,
  duration_ms: 1200,
  host: "api.openai.com",
  port: 443,
  is_loopback: false,
  via: "",
  purpose: "model_call",
  subject: "openai/gpt-5",
  request_id: "feedfacecafe",
  sent_bytes: 12_000,
  received_bytes: 3_000,
  outcome: "done",
  ...changes,
});
const total: HostTotal = {
  host: "api.openai.com",
  is_loopback: false,
  uses: 3,
  refused: 1,
  sent_bytes: 36_000,
  received_bytes: 9_000,
  last_ms: NOON_MS,
  purposes: ["model_call", "model_list"],
};

/** The page over a fake server, at Settings → Network. */
async function shown(rows: NetworkRow[], isOffline = false) {
  const settings = { ...appState().settings, is_offline: isOffline };
  const server = new FakeServer({
    "app.state": () => ({ ...appState(), settings }),
    "conversations.pinned": () => [],
    "sorting.overview": () => ({ folders: [], tags: [] }),
    "conversations.page": () => ({ conversations: [], next_cursor: null }),
    "network.page": () => rows,
    "network.totals": () => [total],
    "network.switch": ({ is_offline }) => ({ ...settings, is_offline }),
  });
  const bridge = server.bridge({
    onEvents: (events, n) => {
      for (const event of events) app.apply(event, n);
    },
    onReset: () => void app.reset(),
  });
  const app = createApp(commandsOver(bridge.call, bridge.stream), { hash: "#/settings/network" });
  render(<AppView app={app} isConnected={bridge.isConnected} />);
  bridge.connect();
  server.hello();
  await app.start();
  return server;
}

const asked = (server: FakeServer, cmd: string) => server.calls.filter((call) => call.cmd === cmd);

test("what left is there with whom, why and how much, and how it ended where that matters", async () => {
  await shown([
    use(3, { outcome: "" }),
    use(2, { outcome: "refused", sent_bytes: 0, received_bytes: 0 }),
    use(1, { via: "proxy.corp", port: 8443 }),
  ]);

  const [live, refused, done] = await screen.findAllByTestId("network-use");
  expect(live?.textContent).toContain("Going on now");
  expect(refused?.textContent).toContain("Not made: Deskside was offline");
  expect(refused?.textContent).not.toContain("sent");
  expect(done?.textContent).toContain("Asking a model: openai/gpt-5");
  expect(done?.textContent).toContain("api.openai.com:8443 through the proxy proxy.corp");
  expect(done?.textContent).toContain("12 KB sent3 KB received");
  expect(done?.textContent).toContain("request feedfacecafe");
  expect((await screen.findByTestId("network-host")).textContent).toContain("(1 kept back: offline)");
  expect(await violations()).toEqual([]);
});

test("a host, a purpose and this computer can be chosen, and news are fetched with the same choice", async () => {
  const server = await shown([use(1)]);
  const host = within(await screen.findByTestId("network-host"));

  fireEvent.click(host.getByRole("button", { name: "api.openai.com" }));
  fireEvent.change(screen.getByLabelText("What for"), { target: { value: "web_fetch" } });
  fireEvent.click(screen.getByLabelText("Also within this computer"));
  const before = asked(server, "network.page").length;
  server.publish({ type: "network_changed" });

  await waitFor(() => expect(asked(server, "network.page").length).toBeGreaterThan(before));
  expect(asked(server, "network.page").at(-1)?.params).toMatchObject({
    host: "api.openai.com",
    purpose: "web_fetch",
    with_loopback: true,
  });
});

test("the switch goes offline, which every page then says, and its bar goes online", async () => {
  const server = await shown([use(1)]);

  fireEvent.click(await screen.findByRole("switch", { name: "Stay offline" }));
  fireEvent.click(await screen.findByTestId("go-online"));

  await waitFor(() => expect(screen.queryByTestId("offline-bar")).toBeNull());
  expect(asked(server, "network.switch").map(({ params }) => params)).toEqual([
    { is_offline: true },
    { is_offline: false },
  ]);
});
