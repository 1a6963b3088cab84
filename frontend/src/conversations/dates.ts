/** Groups of the conversation list: what is pinned, then local calendar days. */
import type { ConversationRow } from "../api.gen";

export interface Group {
  label: "Pinned" | "Today" | "Yesterday" | "Previous 7 days" | "Older";
  rows: ConversationRow[];
}

/** `rows` are newest first and stay so; groups without rows are left out. */
export function groupByDay(rows: ConversationRow[], now: Date): Group[] {
  const dayStart = (daysAgo: number) =>
    new Date(now.getFullYear(), now.getMonth(), now.getDate() - daysAgo).getTime();
  const [today, yesterday, week] = [dayStart(0), dayStart(1), dayStart(7)];
  const groups: Group[] = [
    { label: "Pinned", rows: [] },
    { label: "Today", rows: [] },
    { label: "Yesterday", rows: [] },
    { label: "Previous 7 days", rows: [] },
    { label: "Older", rows: [] },
  ];
  for (const row of rows) {
    const { updated_ms: at } = row;
    const index = row.is_pinned ? 0 : at >= today ? 1 : at >= yesterday ? 2 : at >= week ? 3 : 4;
    groups[index]?.rows.push(row);
  }
  return groups.filter((group) => group.rows.length > 0);
}
