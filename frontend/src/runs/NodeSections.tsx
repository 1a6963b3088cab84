import type { NodeContent } from "../api.gen";
import { CodeBox } from "../chat/CodeBox";
import { showInvisible } from "../chat/invisible";
import { formatBytes } from "../ui/format";

/** All texts of one node, the first one and the short ones open. */
export function NodeSections({ content }: { content: NodeContent }) {
  return (
    <>
      {content.sections.map((section, at) => (
        <details key={section.title} open={at === 0 || section.text.length < 400}>
          <summary>
            {section.title} <span class="muted">{formatBytes(section.size_bytes)}</span>
          </summary>
          <CodeBox label={section.title}>{showInvisible(section.text)}</CodeBox>
          {section.is_cut && <p class="muted">The rest is in the export.</p>}
        </details>
      ))}
    </>
  );
}
