import type { ComponentChildren } from "preact";

/** Text as it is, whole: what is long scrolls inside, with the keyboard too. */
export function CodeBox({ label, children }: { label: string; children: ComponentChildren }) {
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: the arrow keys must be able to scroll it.
    // biome-ignore lint/a11y/useSemanticElements: a fieldset is for controls.
    <pre class="code-box" role="group" aria-label={label} tabIndex={0}>
      {children}
    </pre>
  );
}
