import type { App } from "../app/app";
import { TransfersCard } from "../transfers/TransfersCard";

export function DataSection({ app }: { app: App }) {
  return (
    <>
      <TransfersCard app={app} />
      <section class="card">
        <h2>Data folder</h2>
        <p class="muted">
          Conversations and settings are on this machine only, in one folder. Keys are kept in the system
          keychain, or encrypted with your passphrase; never in the clear.
        </p>
        <p class="path">
          <code>{app.state.value?.data_folder}</code>
        </p>
      </section>
    </>
  );
}
