import { useEffect } from "preact/hooks";
import type { App } from "../app/app";
import { BackupsCard } from "../data/BackupsCard";
import { EncryptionCard } from "../data/EncryptionCard";
import { FolderCard } from "../data/FolderCard";
import { RecordingsCard } from "../data/RecordingsCard";
import { SpaceCard } from "../data/SpaceCard";
import { TransfersCard } from "../transfers/TransfersCard";
import { Problem } from "../ui/Problem";

export function DataSection({ app }: { app: App }) {
  const { backups } = app;
  useEffect(() => void backups.load(), []);
  const problem = backups.loadProblem.value;
  return (
    <>
      <TransfersCard app={app} />
      <FolderCard app={app} />
      {problem && (
        <Problem message={problem.message} hint={problem.hint} requestId={problem.requestId}>
          <button type="button" class="button" onClick={() => void backups.load()}>
            Try again
          </button>
        </Problem>
      )}
      <BackupsCard app={app} />
      <EncryptionCard app={app} />
      <RecordingsCard app={app} />
      <SpaceCard app={app} />
    </>
  );
}
