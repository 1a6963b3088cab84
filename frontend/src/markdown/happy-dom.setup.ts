/**
 * Makes happy-dom fit for DOMPurify, which reads a node's name through the getter of `Node.prototype` so that a
 * document cannot shadow it. happy-dom implements it on the subclasses only: DOMPurify then reads "" as every
 * tag's name, drops the first element and looks at nothing after it.
 *
 * For tests (vitest's `setupFiles`). The engines people run are covered by build/bench/markdown.py.
 */

const inherited = Object.getOwnPropertyDescriptor(Node.prototype, "nodeName")?.get;

Object.defineProperty(Node.prototype, "nodeName", {
  configurable: true,
  get(this: Node) {
    return (getterBelowNode(this) ?? inherited)?.call(this);
  },
});

function getterBelowNode(node: Node): (() => unknown) | undefined {
  for (
    let level = Object.getPrototypeOf(node);
    level !== Node.prototype;
    level = Object.getPrototypeOf(level)
  ) {
    const getter = Object.getOwnPropertyDescriptor(level, "nodeName")?.get;
    if (getter) return getter;
  }
  return undefined;
}
