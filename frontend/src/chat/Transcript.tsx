import { ArrowDown } from "lucide-preact";
import { useEffect, useLayoutEffect, useRef } from "preact/hooks";
import type { App } from "../app/app";
import { useReport } from "../app/context";
import { ErrorBoundary } from "../ui/ErrorBoundary";
import { Problem } from "../ui/Problem";
import type { Conversation } from "./conversation";
import { useFollow } from "./follow";
import { Message } from "./Message";

/** Pixels from the top or the bottom at which more messages are asked for. */
const NEAR = 800;

interface Props {
  app: App;
  conversation: Conversation;
  onChooseModel(): void;
}

export function Transcript({ app, conversation, onChooseModel }: Props) {
  const report = useReport();
  const scroller = useRef<HTMLDivElement>(null);
  const content = useRef<HTMLDivElement>(null);
  const { hasMore, hasNewer, isLoading, loadProblem, lastAsked, found } = conversation;
  const { isFollowing, jump, goTo, isHeld } = useFollow(scroller, content, {
    hasNewer: () => hasNewer.peek(),
  });
  const messages = conversation.messages.value;

  // A question of one's own is always followed.
  useEffect(() => {
    if (lastAsked.value !== 0) jump();
  }, [lastAsked.value]);

  // What waits for its turn takes it in the order of its distance from the view.
  useLayoutEffect(() => {
    if (isFollowing.peek()) jump();
  }, [messages]);

  useLayoutEffect(() => {
    if (found.value === null) return;
    const message = content.current?.querySelector(`#message-${found.value.id}`);
    if (!message) return;
    goTo(message);
    const { text } = found.value;
    // Markdown may not be in its place yet.
    const observer = new MutationObserver(look);
    function look(): void {
      const words = message ? wordsIn(message, text) : null;
      if (!words || !message) return;
      observer.disconnect();
      highlight(words);
      if (isHeld(message)) goTo(words.startContainer.parentElement ?? message);
    }
    observer.observe(message, { subtree: true, childList: true, characterData: true });
    look();
    return () => {
      observer.disconnect();
      highlight(null);
    };
  }, [found.value]);

  const onScroll = () => {
    const element = scroller.current;
    if (!element) return;
    if (element.scrollTop < NEAR) void conversation.loadOlder();
    if (element.scrollHeight - element.scrollTop - element.clientHeight < NEAR) void conversation.loadNewer();
  };
  const jumpToEnd = async () => {
    await conversation.jumpToEnd();
    found.value = null;
    jump();
  };

  return (
    <div class="transcript-frame">
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: the arrow keys must be able to scroll it. */}
      <section ref={scroller} class="transcript" aria-label="Messages" tabIndex={0} onScroll={onScroll}>
        <div ref={content} class="transcript-content">
          {hasMore.value && (
            <p class="muted transcript-more">{isLoading.value ? "Loading older messages…" : ""}</p>
          )}
          {loadProblem.value && (
            <Problem
              message={loadProblem.value.message}
              hint={loadProblem.value.hint}
              requestId={loadProblem.value.requestId}
            >
              <button type="button" class="button" onClick={() => void conversation.load()}>
                Try again
              </button>
            </Problem>
          )}
          {messages.map((message, index) => (
            <ErrorBoundary key={message.id} where="This message" report={report}>
              <Message
                app={app}
                conversation={conversation}
                message={message}
                isLast={index === messages.length - 1}
                mayWait={index < messages.length - 1}
                onChooseModel={onChooseModel}
              />
            </ErrorBoundary>
          ))}
          {hasNewer.value && (
            <p class="muted transcript-more">{isLoading.value ? "Loading newer messages…" : ""}</p>
          )}
        </div>
      </section>
      {(!isFollowing.value || hasNewer.value) && (
        <button type="button" class="jump" onClick={() => void jumpToEnd()}>
          <ArrowDown size={16} aria-hidden="true" />
          Jump to latest
        </button>
      )}
    </div>
  );
}

/** Where the words are in a message; null where they are not shown as one text. */
function wordsIn(message: Element, text: string): Range | null {
  const wanted = text.toLowerCase();
  if (wanted === "") return null;
  const walker = document.createTreeWalker(message, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const { currentNode } = walker;
    const at = currentNode.textContent?.toLowerCase().indexOf(wanted) ?? -1;
    if (at < 0) continue;
    const range = document.createRange();
    range.setStart(currentNode, at);
    range.setEnd(currentNode, Math.min(at + text.length, currentNode.textContent?.length ?? 0));
    return range;
  }
  return null;
}

/** Marks the words without touching the text, where the engine can. */
function highlight(words: Range | null): void {
  if (!("highlights" in CSS)) return;
  if (words) CSS.highlights.set("found", new Highlight(words));
  else CSS.highlights.delete("found");
}
