import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import type { Integration, Settings } from "../api.gen";
import type { App } from "../app/app";
import { BridgeError } from "../bridge";
import { Switch } from "../ui/Switch";
import { Row } from "./Row";

const TEXTS: { value: Settings["notification_text"]; label: string }[] = [
  { value: "nothing", label: "only that there is news" },
  { value: "title", label: "the conversation’s title" },
  { value: "answer", label: "the title and how the answer begins" },
];

const TRAY: Record<Integration["tray"], string> = {
  there: "Closing the window hides it; answers go on. The icon in the tray brings it back, and quits.",
  none: "Your desktop has no tray now, so closing the window ends Deskside.",
  unsupported: "This installation’s window cannot use a tray. Closing the window ends Deskside.",
};

/** Settings → Desktop: notifications, the tray, and the start at login. */
export function DesktopSection({ app }: { app: App }) {
  const { api, toasts } = app;
  /** What the desktop offers; undefined until it is known, null without a window. */
  const offers = useSignal<Integration | null | undefined>(undefined);
  useEffect(() => {
    const ask = async () => {
      try {
        offers.value = await api.desktop.integration();
      } catch (error) {
        if (!(error instanceof BridgeError)) throw error;
        offers.value = null;
      }
    };
    void ask();
  }, [api]);

  const settings = app.settings.value;
  const found = offers.value;
  if (!settings || found === undefined) return null;
  const startAtLogin = (is_on: boolean) =>
    toasts.attempt(async () => {
      offers.value = await api.desktop.set_start_at_login({ is_on });
    });
  const canNotify = found?.notifies ?? false;
  return (
    <>
      <section class="card" aria-label="Notifications">
        <h2>Notifications</h2>
        <Row
          label="Tell me when an answer ends or waits for me"
          hint={
            canNotify
              ? "Only while you look at something else. A click opens the conversation."
              : "Nothing here shows notifications. On Linux it takes a desktop that does, on a Mac the installed Deskside."
          }
        >
          {() => (
            <Switch
              label="Tell me when an answer ends or waits for me"
              isOn={settings.notifies && canNotify}
              isDisabled={!canNotify}
              onChange={(isOn) => void app.changeSettings({ notifies: isOn })}
            />
          )}
        </Row>
        <Row label="Show in them" hint="Others may see them, also on a locked screen.">
          {({ id, hintId }) => (
            <select
              id={id}
              class="field"
              aria-describedby={hintId}
              disabled={!canNotify || !settings.notifies}
              value={settings.notification_text}
              onChange={(event) => {
                const chosen = TEXTS.find(({ value }) => value === event.currentTarget.value);
                if (chosen) void app.changeSettings({ notification_text: chosen.value });
              }}
            >
              {TEXTS.map(({ value, label }) => (
                <option key={value} value={value}>
                  {label}
                </option>
              ))}
            </select>
          )}
        </Row>
      </section>
      <section class="card" aria-label="Window">
        <h2>Window</h2>
        <Row label="Go on in the tray when the window is closed" hint={TRAY[found?.tray ?? "unsupported"]}>
          {() => (
            <Switch
              label="Go on in the tray when the window is closed"
              isOn={settings.closes_to_tray && found?.tray !== "unsupported"}
              isDisabled={found === null || found.tray === "unsupported"}
              onChange={(isOn) => void app.changeSettings({ closes_to_tray: isOn })}
            />
          )}
        </Row>
        <Row
          label="Start when I log in"
          hint={
            found === null
              ? "Deskside runs without a window here: have your system start it."
              : found.starts_at_login === null
                ? "This installation cannot set that up: add Deskside to the programs that your system starts at login."
                : "The window opens when you log in to this computer."
          }
        >
          {() => (
            <Switch
              label="Start when I log in"
              isOn={found?.starts_at_login ?? false}
              isDisabled={found === null || found.starts_at_login === null}
              onChange={(isOn) => void startAtLogin(isOn)}
            />
          )}
        </Row>
      </section>
    </>
  );
}
