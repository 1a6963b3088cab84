import { useSignal } from "@preact/signals";
import { ExternalLink, MessageCircleQuestionMark } from "lucide-preact";
import { useId, useRef } from "preact/hooks";
import type { Elicitation } from "../api.gen";
import type { App } from "../app/app";
import { Problem } from "../ui/Problem";
import { useAction } from "../ui/useAction";
import { useArmed } from "./armed";
import type { Conversation } from "./conversation";
import { ElicitationField } from "./ElicitationField";
import { contentOf, type FormValue, fieldsOf, problemOf } from "./elicitation";
import { GuardedButton } from "./GuardedButton";
import { showInvisible } from "./invisible";

interface Props {
  app: App;
  conversation: Conversation;
  messageId: number;
  position: number;
  elicitation: Elicitation;
}

/** What a server asks the user in the middle of a call: a form, or a page to be opened. */
export function ElicitationCard({ app, conversation, messageId, position, elicitation }: Props) {
  const { server, message, schema, url, of_calls } = elicitation;
  const titleId = useId();
  const card = useRef<HTMLElement>(null);
  const buttons = useRef<HTMLDivElement>(null);
  const isArmed = useArmed(buttons);
  const { isBusy, problem, run } = useAction();
  const isSent = useSignal(false);
  const values = useSignal<Record<string, FormValue>>({});
  /** Faults are told once the user has tried to send. */
  const isTried = useSignal(false);
  const fields = schema ? fieldsOf(schema) : [];
  const isOff = !isArmed.value || isBusy.value || isSent.value;

  const answer = async (given: Parameters<Conversation["answerElicitation"]>[2]) => {
    isSent.value = await run(() => conversation.answerElicitation(messageId, position, given));
  };
  const accept = () => {
    isTried.value = true;
    if (fields.some((field) => problemOf(field, values.value[field.name] ?? field.initial))) {
      // A form can be longer than the window: what is wrong comes into view.
      requestAnimationFrame(() => card.current?.querySelector<HTMLElement>("[aria-invalid=true]")?.focus());
      return;
    }
    void answer({ action: "accept", content: contentOf(fields, values.value) });
  };
  const open = async () => {
    const isOpened = await run(() => app.api.desktop.open_link({ url }));
    if (isOpened) await answer({ action: "accept" });
  };

  return (
    // biome-ignore lint/a11y/useSemanticElements: a fieldset's legend cannot be laid out like a heading.
    <section ref={card} class="ask" role="group" aria-labelledby={titleId} data-testid="elicitation">
      <h2 id={titleId} class="ask-title">
        <MessageCircleQuestionMark size={18} strokeWidth={1.75} aria-hidden="true" />
        <span>
          The server <code>{showInvisible(server)}</code> asks you
        </span>
      </h2>
      {of_calls > 1 && (
        <p class="muted">{of_calls} of its calls are under way. It does not say for which of them it asks.</p>
      )}
      {message && <p class="ask-summary">{showInvisible(message)}</p>}
      {url && <Address url={url} />}
      {fields.map((field) => (
        <ElicitationField
          key={field.name}
          field={field}
          value={values.value[field.name] ?? field.initial}
          isTried={isTried.value}
          onChange={(value) => {
            values.value = { ...values.value, [field.name]: value };
          }}
        />
      ))}
      <p class="muted">
        {url
          ? "The page opens in your browser. Open it only if you know where it leads."
          : "What you answer goes to this server. Do not send passwords or keys."}
      </p>
      {problem.value && (
        <Problem
          message={problem.value.message}
          hint={problem.value.hint}
          requestId={problem.value.requestId}
        />
      )}
      <div ref={buttons} class="ask-buttons">
        {url ? (
          <GuardedButton class="primary" isOff={isOff} onPress={() => void open()}>
            <ExternalLink size={14} aria-hidden="true" />
            Open the page
          </GuardedButton>
        ) : (
          <GuardedButton class="primary" isOff={isOff} onPress={accept}>
            {fields.length > 0 ? "Send" : "Accept"}
          </GuardedButton>
        )}
        <GuardedButton isOff={isOff} onPress={() => void answer({ action: "decline" })}>
          Decline
        </GuardedButton>
        <GuardedButton class="quiet" isOff={isOff} onPress={() => void answer({ action: "cancel" })}>
          Cancel
        </GuardedButton>
      </div>
    </section>
  );
}

/** The whole address, and the machine it leads to as the network knows it. */
function Address({ url }: { url: string }) {
  return (
    <div class="ask-part">
      <code class="ask-address">{showInvisible(url)}</code>
      {URL.canParse(url) && (
        <p class="muted">
          Leads to <strong>{new URL(url).host}</strong>
        </p>
      )}
    </div>
  );
}
