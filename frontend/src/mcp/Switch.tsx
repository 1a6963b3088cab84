import type { ComponentChildren } from "preact";

interface Props {
  label: string;
  isOn: boolean;
  onChange(isOn: boolean): void;
  children?: ComponentChildren;
}

/** On or off, at once. The label is for assistive technology and the tooltip; `children` are seen. */
export function Switch({ label, isOn, onChange, children }: Props) {
  return (
    <label class="switch" title={label}>
      {children}
      <input
        type="checkbox"
        role="switch"
        aria-label={label}
        aria-checked={isOn}
        checked={isOn}
        onChange={(event) => onChange(event.currentTarget.checked)}
      />
    </label>
  );
}
