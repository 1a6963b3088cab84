/** Groups of the conversation list, by local calendar days. */
import type { ConversationRow } from "../api.gen";

export interface Group {
  label: "Today" | "Yesterday" | "Previous 7 days" | "Older";
  rows: ConversationRow[];
}

/** `rows` are newest first and stay so; groups without rows are left out. */
export function groupByDay(rows: ConversationRow[], now: Date): Group[] {
  const dayStart = (daysAgo: number) =>
    new Date(now.getFullYear(), now.getMonth(), now.getDate() - daysAgo).getTime();
  const [today, yesterday, week] = [dayStart(0), dayStart(1), dayStart(7)];
  const groups: Group[] = [
    { label: "Today", rows: [] },
    { label: "Yesterday", rows: [] },
    { label: "Previous 7 days", rows: [] },
    { label: "Older", rows: [] },
  ];
  for (const row of rows) {
    const { updated_ms: at } = row;
    const index = at >= today ? 0 : at >= yesterday ? 1 : at >= week ? 2 : 3;
    groups[index]?.rows.push(row);
  }
  return groups.filter((group) => group.rows.length > 0);
}
