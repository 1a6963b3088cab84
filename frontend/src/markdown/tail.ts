/** The end of a text that is still being written. */

/** A last line that may turn out to be a list item, a heading, a rule, a fence, a quote, a tag or a table. */
const MARKER_LINE =
  /(?:^|\n)[ \t>]*(?:[-*+_=]{1,3}|\d{1,3}[.)]?|#{1,6}|`{1,2}|~{1,2}|>|\|[ \t|:-]*|\$\$?|\\)[ \t]*$/;
/** The first row of a table before the line that makes it one. */
const LONE_TABLE_ROW = /(?:^|\n)[ \t]*\|[^\n]*(?:\n[ \t]*\|?[ \t|:-]*)?$/;
const HALF_TAG = /<\/?(?:b|br|s|su|sub|sup|k|kb|kbd)?[ \t]*\/?$/i;

/**
 * Hold back what a reader would see change its meaning a moment later: a lone "-" that makes a heading of the
 * line above, "##" before its heading, the head of a table before its rule. Held for a few characters only;
 * a finished text is never passed through here.
 */
export function withoutDanglingMarkers(text: string): string {
  const tail = text.slice(-2_000);
  const kept = withoutLoneTableRow(tail).replace(MARKER_LINE, "").replace(HALF_TAG, "");
  return text.slice(0, text.length - tail.length) + kept;
}

function withoutLoneTableRow(tail: string): string {
  const row = LONE_TABLE_ROW.exec(tail);
  if (!row) return tail;
  // Below another row it is part of a table that already shows.
  return /\|[^\n]*$/.test(tail.slice(0, row.index)) ? tail : tail.slice(0, row.index);
}
