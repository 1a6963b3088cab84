import type { McpServerRow } from "../api.gen";
import type { App } from "../app/app";

/** Signing in at a server that wants it, giving that up, and signing out. Nothing for one that never asked. */
export function SignIn({ app, server }: { app: App; server: McpServerRow }) {
  const { mcp } = app.api;
  const { id, state } = server;
  const attempt = (action: () => Promise<unknown>) => void app.toasts.attempt(action);
  if (state === "signing_in") {
    return (
      <div class="mcp-sign-in">
        <p>Answer the dialog of your system, then sign in in your browser. Deskside waits for you.</p>
        <button type="button" class="button" onClick={() => attempt(() => mcp.cancel_sign_in({ id }))}>
          Cancel
        </button>
      </div>
    );
  }
  const signOut = (
    <button type="button" class="button quiet" onClick={() => attempt(() => mcp.sign_out({ id }))}>
      Sign out
    </button>
  );
  if (state === "signed_out") {
    return (
      <div class="mcp-sign-in">
        <p>
          This server has to know who you are. A dialog of your system shows where you would sign in; then
          your browser opens that page.
        </p>
        <div class="actions">
          <button
            type="button"
            class="button primary"
            data-testid="mcp-sign-in"
            onClick={() => attempt(() => mcp.sign_in({ id }))}
          >
            Sign in…
          </button>
          {server.is_signed_in && signOut}
        </div>
      </div>
    );
  }
  if (!server.is_signed_in) return null;
  return (
    <div class="mcp-signed-in">
      <span class="muted">You are signed in at this server.</span>
      {signOut}
    </div>
  );
}
