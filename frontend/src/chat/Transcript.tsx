import { ArrowDown } from "lucide-preact";
import { useEffect, useRef } from "preact/hooks";
import type { App } from "../app/app";
import { useReport } from "../app/context";
import { ErrorBoundary } from "../ui/ErrorBoundary";
import { Problem } from "../ui/Problem";
import type { Conversation } from "./conversation";
import { useFollow } from "./follow";
import { Message } from "./Message";

/** Pixels from the top at which older messages are asked for. */
const NEAR_TOP = 800;

interface Props {
  app: App;
  conversation: Conversation;
  onChooseModel(): void;
}

export function Transcript({ app, conversation, onChooseModel }: Props) {
  const report = useReport();
  const scroller = useRef<HTMLDivElement>(null);
  const content = useRef<HTMLDivElement>(null);
  const { isFollowing, jump } = useFollow(scroller, content);
  const messages = conversation.messages.value;
  const { hasMore, isLoading, loadProblem } = conversation;

  // A question of one's own is always followed.
  const lastQuestion = messages.findLast(({ row }) => row.peek().role === "user")?.id;
  useEffect(jump, [lastQuestion]);

  const onScroll = () => {
    if ((scroller.current?.scrollTop ?? NEAR_TOP) < NEAR_TOP) void conversation.loadOlder();
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
            <Problem message={loadProblem.value.message} hint={loadProblem.value.hint}>
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
                onChooseModel={onChooseModel}
              />
            </ErrorBoundary>
          ))}
        </div>
      </section>
      {!isFollowing.value && (
        <button type="button" class="jump" onClick={jump}>
          <ArrowDown size={16} aria-hidden="true" />
          Jump to latest
        </button>
      )}
    </div>
  );
}
