import type { ReadonlySignal } from "@preact/signals";
import { useEffect, useState } from "preact/hooks";

const SHOWN_AFTER_MS = 1_000;

/** Says that the page is cut off, once that lasts. */
export function ConnectionBar({ isConnected }: { isConnected: ReadonlySignal<boolean> }) {
  const [isLate, setLate] = useState(false);
  const isDown = !isConnected.value;
  useEffect(() => {
    setLate(false);
    if (!isDown) return;
    const timer = setTimeout(() => setLate(true), SHOWN_AFTER_MS);
    return () => clearTimeout(timer);
  }, [isDown]);
  return (
    <div class="connection" role="status">
      {isDown && isLate && <p>Reconnecting… What you type is kept.</p>}
    </div>
  );
}
