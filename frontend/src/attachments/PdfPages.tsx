import { useSignal } from "@preact/signals";
import { ChevronLeft, ChevronRight } from "lucide-preact";
import { useEffect } from "preact/hooks";
import type { AttachmentRow } from "../api.gen";
import { BridgeError } from "../bridge";
import { IconButton } from "../ui/IconButton";
import { Problem } from "../ui/Problem";
import { fetchPage, type Page } from "./pages";

/** A PDF as it looks, page by page. */
export function PdfPages({ row }: { row: AttachmentRow }) {
  const number = useSignal(1);
  const page = useSignal<Page | null>(null);
  const problem = useSignal<BridgeError | null>(null);
  const isLoading = useSignal(true);

  useEffect(() => {
    const leaving = new AbortController();
    isLoading.value = true;
    problem.value = null;
    fetchPage(row, number.value, leaving.signal)
      .then((fetched) => {
        if (leaving.signal.aborted) URL.revokeObjectURL(fetched.url);
        else show(fetched);
      })
      .catch((error: unknown) => {
        if (leaving.signal.aborted) return;
        if (!(error instanceof BridgeError)) throw error;
        problem.value = error;
        isLoading.value = false;
      });
    return () => leaving.abort();
  }, [row.id, number.value]);
  useEffect(() => () => forget(), []);

  const show = (fetched: Page) => {
    forget();
    page.value = fetched;
    isLoading.value = false;
  };
  const forget = () => {
    if (page.value) URL.revokeObjectURL(page.value.url);
  };
  const step = (by: number) => {
    number.value += by;
  };
  const pages = page.value?.pages ?? 0;

  return (
    <>
      {pages > 0 && (
        <fieldset class="pdf-steps" aria-label="Pages">
          <IconButton
            icon={ChevronLeft}
            label="Previous page"
            disabled={number.value <= 1}
            onClick={() => step(-1)}
          />
          <span role="status">
            Page {number.value} of {pages}
          </span>
          <IconButton
            icon={ChevronRight}
            label="Next page"
            disabled={number.value >= pages}
            onClick={() => step(1)}
          />
        </fieldset>
      )}
      {problem.value && <Problem message={problem.value.message} hint={problem.value.hint} />}
      {!page.value && isLoading.value && <p class="muted">Drawing the page…</p>}
      {page.value && !problem.value && (
        <img
          class="pdf-page"
          data-testid="pdf-page"
          src={page.value.url}
          alt={`Page ${page.value.number} of ${row.name}`}
          aria-busy={isLoading.value}
        />
      )}
    </>
  );
}
