import { useComputed, useSignal, useSignalEffect } from "@preact/signals";
import { TriangleAlert } from "lucide-preact";
import type { App } from "../app/app";
import { DamageDialog } from "./DamageDialog";
import { RescuedDialog } from "./RescuedDialog";

/** Says why nothing can be saved, for as long as that is so, with the way out. */
export function TroubleBar({ app }: { app: App }) {
  const isOpen = useSignal(false);
  const trouble = app.state.value?.trouble ?? null;
  const rescued = app.state.value?.rescued ?? null;
  const damage = useComputed(() => app.state.value?.trouble?.code === "store_damaged");
  const isDamaged = damage.value;

  // Told at once; who closes it finds the way back in the bar.
  useSignalEffect(() => {
    isOpen.value = damage.value;
  });

  return (
    <>
      {trouble && (
        <div class="trouble" role="alert" data-testid="trouble">
          <TriangleAlert size={16} strokeWidth={1.75} aria-hidden="true" />
          <p>
            <strong>Nothing is saved.</strong> {trouble.message}
            {!isDamaged && <span class="muted"> {trouble.hint}</span>}
          </p>
          {isDamaged ? (
            <button type="button" class="button" onClick={() => (isOpen.value = true)}>
              What can be done…
            </button>
          ) : (
            trouble.is_lasting && (
              <button
                type="button"
                class="button"
                onClick={() => void app.toasts.attempt(() => app.api.rescue.restart())}
              >
                Try again
              </button>
            )
          )}
        </div>
      )}
      {isDamaged && isOpen.value && <DamageDialog app={app} onClose={() => (isOpen.value = false)} />}
      {rescued && <RescuedDialog app={app} rescued={rescued} />}
    </>
  );
}
