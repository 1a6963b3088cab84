import type { LucideIcon } from "lucide-preact";
import type { ButtonHTMLAttributes, Ref } from "preact";

interface Props extends Omit<ButtonHTMLAttributes<HTMLButtonElement>, "icon"> {
  icon: LucideIcon;
  /** What it does, for the tooltip and for assistive technology. */
  label: string;
  /** The shortcut, shown after the label. */
  keys?: string;
  "data-testid"?: string;
  buttonRef?: Ref<HTMLButtonElement>;
}

export function IconButton({ icon: Icon, label, keys, title, class: extra, buttonRef, ...rest }: Props) {
  return (
    <button
      type="button"
      {...rest}
      ref={buttonRef ?? null}
      class={`icon-button ${extra ?? ""}`}
      aria-label={label}
      title={title ?? (keys ? `${label} (${keys})` : label)}
    >
      <Icon size={18} strokeWidth={1.75} aria-hidden="true" />
    </button>
  );
}
