interface Props {
  /** What it switches, for assistive technology. */
  label: string;
  isOn: boolean;
  isDisabled?: boolean;
  onChange(isOn: boolean): void;
}

/** On or off, at once. */
export function Switch({ label, isOn, isDisabled, onChange }: Props) {
  return (
    <button
      type="button"
      role="switch"
      class="switch"
      aria-checked={isOn}
      aria-label={label}
      title={label}
      disabled={isDisabled}
      onClick={() => onChange(!isOn)}
    >
      <span aria-hidden="true" />
    </button>
  );
}
