/** Files out of what is pasted or dropped. */

/** A paste that is longer becomes a file: the text box would hold the window up, and hide what is asked. */
const LONGEST_PASTE = 100_000;
const MOST_LINES = 20_000;

export const PASTED_TEXT = "Pasted text.txt";

/** The files of a paste; none where it is text to be typed. */
export function pastedFiles(data: DataTransfer): File[] {
  const text = data.getData("text/plain");
  const files = [...data.files];
  // Office puts a picture of the text beside it.
  const isTextWithPicture = text.trim() !== "" && files.every(({ type }) => type.startsWith("image/"));
  if (files.length > 0 && !isTextWithPicture) return files.map(named);
  return isLong(text) ? [new File([text], PASTED_TEXT, { type: "text/plain" })] : [];
}

export interface Dropped {
  files: File[];
  hasFolders: boolean;
}

export function droppedFiles(data: DataTransfer): Dropped {
  const items = [...data.items].filter(({ kind }) => kind === "file");
  const isFolder = (item: DataTransferItem) => item.webkitGetAsEntry?.()?.isDirectory ?? false;
  const files = items.filter((item) => !isFolder(item)).map((item) => item.getAsFile());
  return { files: files.filter((file) => file !== null), hasFolders: items.some(isFolder) };
}

export const hasFiles = (data: DataTransfer | null): boolean => data?.types.includes("Files") ?? false;

function isLong(text: string): boolean {
  if (text.length > LONGEST_PASTE) return true;
  let lines = 1;
  for (let at = text.indexOf("\n"); at >= 0; at = text.indexOf("\n", at + 1)) lines += 1;
  return lines > MOST_LINES;
}

/** A picture from the clipboard has no name of its own. */
function named(file: File): File {
  if (file.name !== "" && file.name !== "image.png") return file;
  const ending = file.type.slice(file.type.indexOf("/") + 1) || "png";
  return new File([file], `Pasted picture.${ending}`, { type: file.type });
}
