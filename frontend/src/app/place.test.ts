import { expect, test } from "vitest";
import { hashOf, type Place, placeOf } from "./place";

test.each<Place>([
  { view: "chat", conversationId: null },
  { view: "chat", conversationId: 12 },
  { view: "settings", section: "device" },
  { view: "run", runId: 7, conversationId: 12 },
  { view: "compare", leftRun: 7, rightRun: 9, conversationId: 12 },
])("%j is found again from its address", (place) => {
  expect(placeOf(hashOf(place))).toEqual(place);
});

test.each([
  "",
  "#",
  "#/nowhere",
  "#/chat/-1",
  "#/chat/1e99",
  "#/chat/x",
  "#/run/7",
  "#/run/x/1",
  "#/compare/7/9",
])("%j is a new chat", (hash) => {
  expect(placeOf(hash)).toEqual({ view: "chat", conversationId: null });
});
