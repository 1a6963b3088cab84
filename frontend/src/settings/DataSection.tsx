import { useEffect } from "preact/hooks";
import type { App } from "../app/app";
import { BackupsCard } from "../data/BackupsCard";
import { EncryptionCard } from "../data/EncryptionCard";
import { SpaceCard } from "../data/SpaceCard";
import { Problem } from "../ui/Problem";

export function DataSection({ app }: { app: App }) {
  const { backups } = app;
  useEffect(() => void backups.load(), []);
  const problem = backups.loadProblem.value;
  return (
    <>
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
      {problem && (
        <Problem message={problem.message} hint={problem.hint}>
          <button type="button" class="button" onClick={() => void backups.load()}>
            Try again
          </button>
        </Problem>
      )}
      <BackupsCard app={app} />
      <EncryptionCard app={app} />
      <SpaceCard app={app} />
    </>
  );
}
