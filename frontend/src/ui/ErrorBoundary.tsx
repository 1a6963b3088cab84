import { Component, type ComponentChildren, type ErrorInfo } from "preact";
import type { Report } from "../report";

interface Props {
  /** The part of the window as the user would call it: "The message list". */
  where: string;
  report: Report;
  children: ComponentChildren;
}

/** Keeps a fault in one part of the page from taking the rest with it. */
export class ErrorBoundary extends Component<Props, { error: Error | null }> {
  override state = { error: null as Error | null };

  static override getDerivedStateFromError(error: Error) {
    return { error };
  }

  override componentDidCatch(error: Error, info: ErrorInfo) {
    const { where, report } = this.props;
    report({ where, message: error.message, stack: error.stack ?? "", component: info.componentStack ?? "" });
  }

  override render() {
    if (this.state.error === null) return this.props.children;
    return (
      <section role="alert" class="fallback" data-testid="error-fallback">
        <p>{this.props.where} could not be shown. Nothing that you wrote is lost.</p>
        <button
          type="button"
          class="button"
          data-testid="error-retry"
          onClick={() => this.setState({ error: null })}
        >
          Try again
        </button>
      </section>
    );
  }
}
