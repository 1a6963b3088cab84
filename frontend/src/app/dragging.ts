/**
 * Files dragged out of the window. A page can hand on text only, so the window's own drag takes the place of the
 * browser's: Python makes the file and begins it.
 */
import type { ReadonlySignal } from "@preact/signals";
import type { Commands } from "../api.gen";
import type { Toasts } from "../ui/toasts";

export type Dragging = ReturnType<typeof createDragging>;

/** `isOn`: the window can. */
export function createDragging(api: Commands, toasts: Toasts, isOn: ReadonlySignal<boolean>) {
  let underWay = 0;

  /** What begins the drag of an attachment; undefined where the window cannot. */
  function ofAttachment({ id }: { id: number }): ((event: DragEvent) => void) | undefined {
    if (!isOn.value) return undefined;
    return (event) => begin(event, () => api.desktop.drag_attachment({ id }));
  }

  /** Whether the window drags the conversation as a file, with these for programs that take none. */
  function takeConversation(event: DragEvent, id: number, text: string, html: string): boolean {
    if (isOn.value) begin(event, () => api.desktop.drag_conversation({ id, text, html }));
    return isOn.value;
  }

  function begin(event: DragEvent, drag: () => Promise<unknown>): void {
    event.preventDefault();
    ignoreClick();
    underWay += 1;
    void toasts.attempt(drag).finally(() => {
      underWay -= 1;
    });
  }

  return { ofAttachment, takeConversation, isUnderWay: () => underWay > 0 };
}

/** The button may be let go above what was dragged: to the page, which saw no drag, that is a click. */
function ignoreClick(): void {
  const swallow = (event: MouseEvent) => {
    event.preventDefault();
    event.stopImmediatePropagation();
    stop();
  };
  const stop = () => {
    window.removeEventListener("click", swallow, { capture: true });
    window.removeEventListener("pointerdown", stop, { capture: true });
    window.removeEventListener("keydown", stop, { capture: true });
  };
  window.addEventListener("click", swallow, { capture: true });
  window.addEventListener("pointerdown", stop, { capture: true });
  window.addEventListener("keydown", stop, { capture: true });
}
