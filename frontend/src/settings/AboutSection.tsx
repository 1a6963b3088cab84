import type { App } from "../app/app";
import { UpdatesCard } from "../updates/UpdatesCard";

/** Which Deskside this is. */
export function AboutSection({ app }: { app: App }) {
  const state = app.state.value;
  if (!state) return null;
  return (
    <>
      <section class="card" aria-label="This Deskside">
        <h2>Deskside {state.version}</h2>
        <p class="muted">
          An assistant that keeps everything on your own computer. Free software, under the MIT licence.
        </p>
      </section>
      <UpdatesCard app={app} />
    </>
  );
}
