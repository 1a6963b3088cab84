import { effect } from "@preact/signals";
import { Component, createRef } from "preact";
import type { Block } from "./blocks";
import { arrivals } from "./lazy";
import { patchContent } from "./patch";
import { type Rendered, renderBlock } from "./render";
import { type SafeHtml, setContent } from "./sanitize";

interface BlockViewProps {
  readonly block: Block;
  readonly isOpen: boolean;
}

/**
 * One block on the page. Its content is set here and not by Preact, so that what is already there can stay.
 *
 * A class for `shouldComponentUpdate`: of all blocks of a text only the changed one may cost anything.
 */
export class BlockView extends Component<BlockViewProps> {
  readonly #element = createRef<HTMLDivElement>();
  #shown: SafeHtml | null = null;
  #stopWaiting: (() => void) | null = null;

  override shouldComponentUpdate(next: BlockViewProps): boolean {
    const { block, isOpen } = this.props;
    return (
      next.isOpen !== isOpen || next.block.raw !== block.raw || next.block.definitions !== block.definitions
    );
  }

  override componentDidMount(): void {
    this.#show();
  }

  override componentDidUpdate(): void {
    this.#show();
  }

  override componentWillUnmount(): void {
    this.#stopWaiting?.();
  }

  override render() {
    return <div class="md-block" ref={this.#element} />;
  }

  #show(): void {
    // A lazy part may arrive after the block has left the page.
    if (this.#element.current === null) return;
    const rendered = renderBlock(this.props.block, this.props.isOpen);
    this.#put(this.#element.current, rendered.html);
    this.#waitFor(rendered);
  }

  #put(element: Element, html: SafeHtml): void {
    if (html === this.#shown) return;
    if (this.#shown === null) setContent(element, html);
    else patchContent(element, html);
    this.#shown = html;
  }

  /** Show the block again when a lazy part arrives that it was rendered without. */
  #waitFor({ isWaiting }: Rendered): void {
    this.#stopWaiting?.();
    this.#stopWaiting = null;
    if (!isWaiting) return;
    const seen = arrivals.peek();
    this.#stopWaiting = effect(() => {
      if (arrivals.value !== seen) queueMicrotask(() => this.#show());
    });
  }
}
