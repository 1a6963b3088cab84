import { useSignal } from "@preact/signals";
import { Paperclip } from "lucide-preact";
import { useEffect } from "preact/hooks";
import { droppedFiles, hasFiles } from "./incoming";

interface Props {
  /** `hasFolders`: some of it were folders, which are left out. */
  onDrop(files: File[], hasFolders: boolean): void;
  /** What is dragged comes from here: there is nothing to attach. */
  isOwn(): boolean;
}

/** Takes files that are dropped anywhere in the window while a chat is open, and says so while they hover. */
export function DropTarget({ onDrop, isOwn }: Props) {
  const isOver = useSignal(false);
  useEffect(() => {
    // Enter and leave come for each element that is passed.
    let depth = 0;
    const set = (to: number) => {
      depth = Math.max(0, to);
      isOver.value = depth > 0;
    };
    const on = (name: "dragenter" | "dragover" | "dragleave" | "drop", act: (event: DragEvent) => void) => {
      const listener = (event: DragEvent) => {
        if (!hasFiles(event.dataTransfer)) return;
        event.preventDefault();
        if (!isOwn()) act(event);
        else if (event.dataTransfer) event.dataTransfer.dropEffect = "none";
      };
      window.addEventListener(name, listener);
      return () => window.removeEventListener(name, listener);
    };
    const listeners = [
      on("dragenter", () => set(depth + 1)),
      on("dragover", ({ dataTransfer }) => {
        if (dataTransfer) dataTransfer.dropEffect = "copy";
      }),
      on("dragleave", () => set(depth - 1)),
      on("drop", ({ dataTransfer }) => {
        set(0);
        if (!dataTransfer) return;
        const { files, hasFolders } = droppedFiles(dataTransfer);
        onDrop(files, hasFolders);
      }),
    ];
    return () => {
      for (const remove of listeners) remove();
    };
  }, [onDrop, isOwn]);
  if (!isOver.value) return null;
  return (
    <div class="drop-target" data-testid="drop-target">
      <p>
        <Paperclip size={20} aria-hidden="true" />
        Drop files to attach them
      </p>
    </div>
  );
}
