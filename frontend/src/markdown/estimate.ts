/** How high blocks will be, told from their source: what stands in for them until they are laid out. */

import type { Block } from "./blocks";

/** Characters on a line of prose in a window of the usual width; a wrong guess moves nothing in view. */
const LINE_CHARS = 84;
const LINE_EM = 1.6;
const MARGIN_EM = 0.85;
const CODE_LINE_EM = 1.35;
const CODE_FRAME_EM = 4.2;
const TABLE_ROW_EM = 2.4;
const FORMULA_EM = 3;
const HEADING_EM = 2.2;

/** The blocks' height in em, the space between them included. */
export function estimatedHeightEm(blocks: readonly Block[]): number {
  return Math.round(blocks.reduce((sum, block) => sum + heightEm(block) + MARGIN_EM, 0));
}

function heightEm({ raw, isFence }: Block): number {
  const lines = raw.trim().split("\n");
  if (isFence) return CODE_FRAME_EM + CODE_LINE_EM * Math.max(1, lines.length - 2);
  const [first = ""] = lines;
  if (first.startsWith("$$") || first.startsWith("\\[")) return FORMULA_EM;
  if (first.startsWith("#")) return HEADING_EM;
  if (first.startsWith("|")) return TABLE_ROW_EM * Math.max(1, lines.length - 1);
  return LINE_EM * lines.reduce((sum, line) => sum + Math.ceil(line.length / LINE_CHARS), 0);
}
