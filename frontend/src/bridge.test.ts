import { afterEach, beforeEach, expect, test, vi } from "vitest";
import type { AppEvent } from "./api.gen";
import { FakeServer, Refusal } from "./fakeServer";

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

const keysChanged: AppEvent = { type: "keys_changed" };

test("a call is answered with the command's data", async () => {
  const server = new FakeServer({ "conversations.rename": ({ title }) => ({ title }) });
  const bridge = server.bridge();
  bridge.connect();
  server.hello();

  const row = await bridge.call("conversations.rename", { id: 1, title: "Plans" });

  expect(row).toEqual({ title: "Plans" });
  expect(server.socket.sent[0]?.requestId).toMatch(/^[0-9a-f]{12}$/);
});

test("a refused call throws what the error says and what to do", async () => {
  const server = new FakeServer({
    "runs.start": () => {
      throw new Refusal("no_key", "There is no key.", "Add one.", false);
    },
  });
  const bridge = server.bridge();
  bridge.connect();
  server.hello();

  const call = bridge.call("runs.start", {});

  await expect(call).rejects.toMatchObject({ code: "no_key", message: "There is no key.", hint: "Add one." });
});

test("a call made while the socket is down waits for it", async () => {
  const server = new FakeServer({ "app.state": () => "ready" });
  const bridge = server.bridge();
  bridge.connect();

  const call = bridge.call("app.state", null);
  await vi.advanceTimersByTimeAsync(2_000);
  server.hello();

  expect(await call).toBe("ready");
});

test("a call does not wait for ever", async () => {
  const server = new FakeServer();
  const bridge = server.bridge();
  bridge.connect();

  const call = bridge.call("app.state", null);
  const failed = expect(call).rejects.toMatchObject({ code: "disconnected", retryable: true });
  await vi.advanceTimersByTimeAsync(12_000);

  await failed;
});

test("a call that was under way when the socket dropped fails, one that was not sent does not", async () => {
  const server = new FakeServer({ "settings.get": () => "kept" });
  const bridge = server.bridge();
  bridge.connect();
  server.hello();
  const sent = bridge.call("runs.start", {});
  const failed = expect(sent).rejects.toMatchObject({ code: "disconnected" });

  server.socket.close();
  const waiting = bridge.call("settings.get", null);
  await vi.advanceTimersByTimeAsync(100);
  server.hello();

  await failed;
  expect(await waiting).toBe("kept");
});

test("reconnecting backs off from 0.1 s to 5 s, and starts again once connected", async () => {
  const server = new FakeServer();
  const bridge = server.bridge();
  bridge.connect();
  const waits: number[] = [];

  for (let attempt = 0; attempt < 8; attempt++) {
    const sockets = server.sockets.length;
    const before = Date.now();
    server.socket.close();
    while (server.sockets.length === sockets) await vi.advanceTimersByTimeAsync(100);
    waits.push(Date.now() - before);
  }
  server.hello();
  server.socket.close();
  await vi.advanceTimersByTimeAsync(100);

  expect(waits).toEqual([100, 200, 400, 800, 1600, 3200, 5000, 5000]);
  expect(server.sockets).toHaveLength(10);
});

test("events resume after the last one seen", async () => {
  const seen: number[] = [];
  const server = new FakeServer();
  const bridge = server.bridge({ onEvents: (_events, n) => seen.push(n) });
  bridge.connect();
  server.last = 40;
  server.hello();
  server.publish(keysChanged);
  server.publish(keysChanged, keysChanged);

  server.socket.close();
  await vi.advanceTimersByTimeAsync(100);

  expect(seen).toEqual([41, 43]);
  expect(server.sockets[0]?.url).toBe("ws://test/bridge");
  expect(server.socket.url).toBe("ws://test/bridge?epoch=e1&after=43");
});

test("events that are gone for good make the page load its state again, but not at the start", async () => {
  const onReset = vi.fn();
  const server = new FakeServer();
  const bridge = server.bridge({ onReset });
  bridge.connect();
  server.hello(true);
  expect(onReset).not.toHaveBeenCalled();

  server.socket.close();
  await vi.advanceTimersByTimeAsync(100);
  server.last = 90;
  server.hello(true);
  server.socket.close();
  await vi.advanceTimersByTimeAsync(100);

  expect(onReset).toHaveBeenCalledTimes(1);
  expect(server.socket.url).toContain("after=90");
});

test("aborting a call cancels the command, and that Python then says so is no fault", async () => {
  const onFault = vi.fn();
  const server = new FakeServer();
  const bridge = server.bridge({ onFault });
  const abort = new AbortController();
  bridge.connect();
  server.hello();
  const call = bridge.call("models.find_servers", null, { signal: abort.signal });

  abort.abort();

  await expect(call).rejects.toMatchObject({ code: "cancelled" });
  expect(server.socket.sent.at(-1)).toEqual({ t: "cancel", id: 1 });
  const error = {
    code: "cancelled",
    message: "It was cancelled.",
    hint: "",
    retryable: false,
    requestId: "",
  };
  server.socket.receive({ t: "err", id: 1, error });
  expect(onFault).not.toHaveBeenCalled();
});

test("a stream yields in order, ends with done, and is cancelled by leaving it", async () => {
  const server = new FakeServer();
  const bridge = server.bridge();
  bridge.connect();
  server.hello();
  const take = async (limit: number) => {
    const taken: unknown[] = [];
    for await (const item of bridge.stream("diagnostics.watch", {})) {
      taken.push(item);
      if (taken.length === limit) break;
    }
    return taken;
  };

  const whole = take(9);
  for (const data of [1, 2]) server.socket.receive({ t: "next", id: 1, data });
  await vi.advanceTimersByTimeAsync(0);
  server.socket.receive({ t: "next", id: 1, data: 3 });
  server.socket.receive({ t: "done", id: 1 });
  const left = take(1);
  server.socket.receive({ t: "next", id: 2, data: 4 });

  expect(await whole).toEqual([1, 2, 3]);
  expect(await left).toEqual([4]);
  expect(server.socket.sent.at(-1)).toEqual({ t: "cancel", id: 2 });
});

test("a bug in Python is reported with the command's name", async () => {
  const onFault = vi.fn();
  const server = new FakeServer({
    "keys.overview": () => {
      throw new Refusal("internal", "Something went wrong.");
    },
  });
  const bridge = server.bridge({ onFault });
  bridge.connect();
  server.hello();

  await bridge.call("keys.overview", null).catch(() => {});
  server.socket.receive({
    t: "err",
    id: null,
    error: { code: "invalid_request", message: "?", hint: "", retryable: false, requestId: "" },
  });

  expect(onFault.mock.calls.map(([command]) => command)).toEqual(["keys.overview", "bridge"]);
});

test("what Python could not read is a fault of the page, what it refused is not", async () => {
  const onFault = vi.fn();
  const server = new FakeServer({});
  const bridge = server.bridge({ onFault });
  bridge.connect();
  server.hello();
  const body = { code: "invalid_request", message: "?", hint: "", retryable: false, requestId: "" };

  const refused = bridge.call("folders.rename", null);
  server.socket.receive({ t: "err", id: 1, error: body });
  const malformed = bridge.call("tags.rename", null);
  server.socket.receive({ t: "err", id: 2, error: { ...body, isMalformed: true } });

  await expect(refused).rejects.toThrow("?");
  await expect(malformed).rejects.toThrow("?");
  expect(onFault.mock.calls.map(([command]) => command)).toEqual(["tags.rename"]);
});
