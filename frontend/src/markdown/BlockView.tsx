import { effect } from "@preact/signals";
import { Component, createRef } from "preact";
import { distanceFromView, slices, type Waiting } from "../ui/slices";
import type { Block } from "./blocks";
import { appendPiece } from "./join";
import { arrivals } from "./lazy";
import { patchContent } from "./patch";
import { piecesOf } from "./pieces";
import { type Colours, coloursOf, isColouredLater, type Rendered, renderBlock } from "./render";
import { setContent } from "./sanitize";

interface BlockViewProps {
  readonly block: Block;
  readonly isOpen: boolean;
}

/** A piece on the page. */
interface Shown {
  readonly piece: Block;
  readonly isOpen: boolean;
  readonly isWaiting: boolean;
  /** What it added to the first piece; of that, everything else in the element. */
  readonly nodes: readonly ChildNode[];
}

/** Pieces that an update puts on the page before the rest waits for its turn. */
const PIECES_AT_ONCE = 2;

/**
 * One block on the page. Its content is set here and not by Preact, so that what is already there can stay.
 *
 * A class for `shouldComponentUpdate`: of all blocks of a text only the changed one may cost anything.
 */
export class BlockView extends Component<BlockViewProps> implements Waiting {
  readonly #element = createRef<HTMLDivElement>();
  #shown: Shown[] = [];
  #colours: Colours | null = null;
  #stopWaiting: (() => void) | null = null;

  override shouldComponentUpdate(next: BlockViewProps): boolean {
    const { block, isOpen } = this.props;
    return (
      next.isOpen !== isOpen || next.block.raw !== block.raw || next.block.definitions !== block.definitions
    );
  }

  override componentDidMount(): void {
    this.#show(PIECES_AT_ONCE);
  }

  override componentDidUpdate(): void {
    this.#show(PIECES_AT_ONCE);
  }

  override componentWillUnmount(): void {
    this.#stopWaiting?.();
    slices.delete(this);
  }

  override render() {
    return <div class="md-block" ref={this.#element} />;
  }

  distance(): number {
    return distanceFromView(this.#element.current);
  }

  show(): void {
    if (this.#colours !== null) this.#colourSome(this.#colours);
    else this.#show(1);
  }

  /** Bring at most so many pieces to the page. What is there already and the same is not touched. */
  #show(atMost: number): void {
    const element = this.#element.current;
    // A lazy part may arrive after the block has left the page.
    if (element === null) return;
    const { block, isOpen } = this.props;
    const pieces = piecesOf(block);
    const isOpenAt = (at: number) => isOpen && at === pieces.length - 1;
    let at = 0;
    for (const piece of pieces) {
      const shown = this.#shown[at];
      if (!shown || !isSame(shown, piece, isOpenAt(at))) break;
      at += 1;
    }
    for (const until = at + atMost; at < Math.min(until, pieces.length); at += 1) {
      const piece = pieces[at];
      if (piece) this.#put(element, at, piece, isOpenAt(at));
    }
    this.#drop(at);
    if (at < pieces.length) slices.add(this);
    this.#waitForParts();
  }

  #put(element: Element, at: number, piece: Block, isOpen: boolean): void {
    this.#drop(Math.max(at, 1));
    const { html, isWaiting } = this.#rendered(piece, isOpen);
    let nodes: readonly ChildNode[] = [];
    if (at > 0) nodes = appendPiece(element, html);
    else if (this.#shown.length === 0) setContent(element, html);
    else patchContent(element, html);
    this.#shown[at] = { piece, isOpen, isWaiting, nodes };
  }

  #rendered(piece: Block, isOpen: boolean): Rendered {
    this.#colours = null;
    if (isOpen || !isColouredLater(piece)) return renderBlock(piece, isOpen);
    const { html } = renderBlock(piece, false);
    const colours = coloursOf(piece);
    if (colours === "waiting") return { html, isWaiting: true };
    this.#colours = colours;
    if (colours !== null) slices.add(this);
    return { html, isWaiting: false };
  }

  /** Take the pieces from `first` on from the page. */
  #drop(first: number): void {
    for (const { nodes } of this.#shown.splice(first)) for (const node of nodes) node.remove();
  }

  /** The next lines of a long piece of code in their colours. */
  #colourSome(colours: Colours): void {
    const lines = this.#element.current?.querySelector(".md-lines:not(.md-coloured)");
    const { value } = colours.next();
    if (!lines || value === undefined) {
      this.#colours = null;
      return;
    }
    lines.classList.add("md-coloured");
    setContent(lines, value);
    slices.add(this);
  }

  /** Show the block again when a lazy part arrives that it was rendered without. */
  #waitForParts(): void {
    this.#stopWaiting?.();
    this.#stopWaiting = null;
    if (!this.#shown.some(({ isWaiting }) => isWaiting)) return;
    const seen = arrivals.peek();
    this.#stopWaiting = effect(() => {
      if (arrivals.value !== seen) queueMicrotask(() => this.#show(PIECES_AT_ONCE));
    });
  }
}

function isSame(shown: Shown, piece: Block, isOpen: boolean): boolean {
  const isUnchanged = shown.piece.raw === piece.raw && shown.piece.definitions === piece.definitions;
  return isUnchanged && shown.isOpen === isOpen && !shown.isWaiting;
}
