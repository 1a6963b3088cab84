import { expect, test } from "vitest";
import type { Server } from "../api.gen";
import { serverAddress, serverId } from "./servers";

test.each([
  ["localhost:1234", "http://localhost:1234/v1"],
  ["http://127.0.0.1:11434/", "http://127.0.0.1:11434/v1"],
  [" https://llm.example.org/api/v1/ ", "https://llm.example.org/api/v1"],
  ["", null],
  ["my server", null],
  ["file:///etc/passwd", null],
])("the address %j is taken as %j", (typed, address) => {
  expect(serverAddress(typed)).toBe(address);
});

test("the first server is local, the others are named after their label, each once", () => {
  const servers: Server[] = [];
  for (const label of ["Ollama", "LM Studio", "LM Studio", "OpenAI", "日本", "2nd machine"]) {
    servers.push({
      id: serverId(label, servers),
      label,
      base_url: "http://a/v1",
      is_free: false,
    });
  }

  expect(servers.map(({ id }) => id)).toEqual([
    "local",
    "lm-studio",
    "lm-studio-2",
    "openai-2",
    "server",
    "nd-machine",
  ]);
});
