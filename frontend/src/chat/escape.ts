/** Escape in a field of a card must not stop the answer, as it does everywhere else in the chat. */
export function keepEscape(event: KeyboardEvent): void {
  if (event.key === "Escape") event.preventDefault();
}
