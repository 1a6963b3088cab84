import { Dialog } from "./Dialog";

interface Props {
  title: string;
  text: string;
  /** What the button that goes on says. */
  action: string;
  onConfirm(): void;
  onClose(): void;
}

/** Asks before something that cannot be undone. Cancel has the focus. */
export function ConfirmDialog({ title, text, action, onConfirm, onClose }: Props) {
  return (
    <Dialog title={title} onClose={onClose}>
      <div class="dialog-body">
        <p>{text}</p>
        <div class="actions">
          <button
            type="button"
            class="button danger"
            onClick={() => {
              onConfirm();
              onClose();
            }}
          >
            {action}
          </button>
          {/* biome-ignore lint/a11y/noAutofocus: what is dangerous must not be one press of Enter away. */}
          <button type="button" class="button quiet" autoFocus onClick={onClose}>
            Cancel
          </button>
        </div>
      </div>
    </Dialog>
  );
}
