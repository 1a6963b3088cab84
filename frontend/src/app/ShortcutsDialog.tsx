import { Dialog } from "../ui/Dialog";
import { LOCAL_SHORTCUTS, SHORTCUTS } from "./keyboard";

export function ShortcutsDialog({ onClose }: { onClose(): void }) {
  return (
    <Dialog title="Keyboard shortcuts" onClose={onClose}>
      <dl class="shortcuts">
        {[...Object.values(SHORTCUTS), ...LOCAL_SHORTCUTS].map(({ keys, label }) => (
          <div key={keys}>
            <dt>{label}</dt>
            <dd>
              <kbd>{keys}</kbd>
            </dd>
          </div>
        ))}
      </dl>
    </Dialog>
  );
}
