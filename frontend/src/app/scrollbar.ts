/**
 * How wide a scroll bar is here, as `--scrollbar` on <html>: 0 where bars float above the text.
 *
 * The transcript scrolls and the message box below it does not; without this their edges would differ by
 * the bar. No style sheet can ask for the width.
 */
export function measureScrollbar(): void {
  const probe = document.createElement("div");
  probe.style.cssText = "position: absolute; overflow: scroll; width: 100px; visibility: hidden";
  document.body.append(probe);
  const width = probe.offsetWidth - probe.clientWidth;
  probe.remove();
  document.documentElement.style.setProperty("--scrollbar", `${width}px`);
}
