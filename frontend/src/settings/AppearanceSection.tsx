import type { Settings } from "../api.gen";
import type { App } from "../app/app";

const THEMES: { value: Settings["theme"]; label: string }[] = [
  { value: "system", label: "Like the system" },
  { value: "light", label: "Light" },
  { value: "dark", label: "Dark" },
];

export function AppearanceSection({ app }: { app: App }) {
  return (
    <section class="card">
      <fieldset class="segments">
        <legend>Theme</legend>
        {THEMES.map(({ value, label }) => (
          <label key={value} class="segment">
            <input
              type="radio"
              name="theme"
              value={value}
              checked={app.settings.value?.theme === value}
              onChange={() => void app.changeSettings({ theme: value })}
            />
            <span>{label}</span>
          </label>
        ))}
      </fieldset>
    </section>
  );
}
