import type { ButtonHTMLAttributes, Ref } from "preact";
import { ignoreRepeat } from "../ui/keys";

interface Props extends ButtonHTMLAttributes<HTMLButtonElement> {
  /** Nothing happens when it is pressed, and it says so; it keeps the focus that it has. */
  isOff: boolean;
  "data-testid"?: string;
  buttonRef?: Ref<HTMLButtonElement>;
  onPress(): void;
}

/** A button that answers a question. It is never the one that Enter in a field presses. */
export function GuardedButton({ isOff, onPress, buttonRef, class: extra, ...rest }: Props) {
  return (
    <button
      {...rest}
      type="button"
      ref={buttonRef ?? null}
      class={`button ${extra ?? ""}`}
      aria-disabled={isOff}
      onKeyDown={ignoreRepeat}
      onClick={() => {
        if (!isOff) onPress();
      }}
    />
  );
}
