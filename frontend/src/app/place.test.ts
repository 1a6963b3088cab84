import { expect, test } from "vitest";
import { hashOf, type Place, placeOf } from "./place";

test.each<Place>([
  { view: "chat", conversationId: null },
  { view: "chat", conversationId: 12 },
  { view: "settings", section: "device" },
])("%j is found again from its address", (place) => {
  expect(placeOf(hashOf(place))).toEqual(place);
});

test.each(["", "#", "#/nowhere", "#/chat/-1", "#/chat/1e99", "#/chat/x"])("%j is a new chat", (hash) => {
  expect(placeOf(hash)).toEqual({ view: "chat", conversationId: null });
});
