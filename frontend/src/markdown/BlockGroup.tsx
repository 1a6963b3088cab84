import { Component, createRef } from "preact";
import { distanceFromView, slices, type Waiting } from "../ui/slices";
import { BlockView } from "./BlockView";
import type { Block } from "./blocks";
import { estimatedHeightEm } from "./estimate";

/** Blocks that are shown, laid out and left out of layout together: at most a screen, and 5 ms of rendering. */
const GROUP_BLOCKS = 8;
const GROUP_CHARS = 2_000;

/** The blocks in groups. A group is full by what is in it, so that a text that grows only adds to the last one. */
export function groupsOf(blocks: readonly Block[]): Block[][] {
  const groups: Block[][] = [];
  let chars = GROUP_CHARS;
  for (const block of blocks) {
    const group = groups.at(-1);
    if (!group || group.length === GROUP_BLOCKS || chars >= GROUP_CHARS) {
      groups.push([block]);
      chars = block.raw.length;
    } else {
      group.push(block);
      chars += block.raw.length;
    }
  }
  return groups;
}

interface BlockGroupProps {
  readonly blocks: readonly Block[];
  /** The last of `blocks` is open. */
  readonly isOpen: boolean;
  /** It need not be there at once: until its turn comes there is a space of about its height. */
  readonly mayWait: boolean;
}

/**
 * Some consecutive blocks of a text. A block stays in its group while the text grows, so its element never moves.
 *
 * A class for `shouldComponentUpdate`: of a long text only the group that changed may cost anything.
 */
export class BlockGroup extends Component<BlockGroupProps, { isShown: boolean }> implements Waiting {
  readonly #element = createRef<HTMLDivElement>();
  readonly #heightEm: number | null;

  constructor(props: BlockGroupProps) {
    super(props);
    this.state = { isShown: !props.mayWait };
    this.#heightEm = props.mayWait ? estimatedHeightEm(props.blocks) : null;
  }

  override componentDidMount(): void {
    if (!this.state.isShown) slices.add(this);
  }

  override componentWillUnmount(): void {
    slices.delete(this);
  }

  override shouldComponentUpdate(next: BlockGroupProps, { isShown }: { isShown: boolean }): boolean {
    const { blocks, isOpen } = this.props;
    return (
      isShown !== this.state.isShown ||
      next.isOpen !== isOpen ||
      next.blocks.length !== blocks.length ||
      next.blocks.some((block, index) => block !== blocks[index])
    );
  }

  distance(): number {
    return distanceFromView(this.#element.current);
  }

  show(): void {
    this.setState({ isShown: true });
  }

  override render({ blocks, isOpen }: BlockGroupProps, { isShown }: { isShown: boolean }) {
    return (
      <div class="md-group" ref={this.#element} style={this.#style(isShown)}>
        {isShown &&
          blocks.map((block, index) => (
            <BlockView key={index} block={block} isOpen={isOpen && index === blocks.length - 1} />
          ))}
      </div>
    );
  }

  /** Out of view it stays as high as it was guessed to be, whether its content has come or not: nothing moves. */
  #style(isShown: boolean) {
    if (this.#heightEm === null) return undefined;
    const height = `${this.#heightEm}em`;
    return { containIntrinsicBlockSize: `auto ${height}`, height: isShown ? undefined : height };
  }
}
