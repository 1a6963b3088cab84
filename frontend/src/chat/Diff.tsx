import { formatCount } from "../ui/format";
import { CodeBox } from "./CodeBox";
import { readDiff } from "./diff";
import { showInvisible } from "./invisible";

/** How a file would change, or what is other in two texts, all of it. */
export function Diff({ text, title = "Changes" }: { text: string; title?: string }) {
  const { groups, added, removed } = readDiff(text);
  return (
    <div class="diff">
      <h3>
        {title}
        <span class="diff-count">
          <span class="diff-plus">+{formatCount(added)}</span>
          <span class="visually-hidden"> lines, </span>
          <span class="diff-minus">−{formatCount(removed)}</span>
          <span class="visually-hidden"> lines</span>
        </span>
      </h3>
      <CodeBox label={title}>
        {groups.map(({ kind, lines }, at) => (
          <span key={at} class={`diff-lines ${kind}`}>
            {showInvisible(lines.join("\n"))}
          </span>
        ))}
      </CodeBox>
    </div>
  );
}
