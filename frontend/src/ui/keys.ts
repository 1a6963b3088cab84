/** A key that is held down presses a button again and again, and what comes after it as well. */
export function ignoreRepeat(event: KeyboardEvent): void {
  if (event.repeat && (event.key === "Enter" || event.key === " ")) event.preventDefault();
}
