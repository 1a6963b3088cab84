import "./styles/fonts.css";
import "./styles/tokens.css";
import "./styles/base.css";
import "./styles/controls.css";
import "./styles/window.css";
import "./styles/chat.css";
import "./styles/settings.css";
import "./styles/runs.css";
import "./styles/agents.css";
import "./styles/work.css";
import "./styles/lists.css";
import "./styles/network.css";
import "./styles/updates.css";
import "./styles/search.css";
import "./styles/tools.css";
import "./styles/code.css";
import "./styles/mcp.css";
import "./styles/files.css";
import "./styles/diagnostics.css";
import "./styles/transfers.css";
import "./styles/proposals.css";
import "./styles/usage.css";
import { render } from "preact";
import { commandsOver } from "./api.gen";
import { AppView } from "./app/AppView";
import { createApp } from "./app/app";
import { ReportContext } from "./app/context";
import { measureScrollbar } from "./app/scrollbar";
import { followTheme } from "./app/theme";
import { Bridge } from "./bridge";
import { createReport, reportUncaught } from "./report";
import { ErrorBoundary } from "./ui/ErrorBoundary";

const bridge = new Bridge({
  url: `ws://${location.host}/bridge`,
  onEvents: (events, n) => {
    for (const event of events) app.apply(event, n);
  },
  onReset: () => void app.reset(),
  onFault: (command, error) => {
    // The reporter must not report itself, and a fault of Python is in its log already.
    if (command !== "diagnostics.report_window_error" && error.code !== "internal") {
      report({ where: command, message: `${error.message} (${error.requestId})` });
    }
  },
});
const api = commandsOver(bridge.call, bridge.stream);
const report = createReport((fault) => api.diagnostics.report_window_error(fault));
const app = createApp(api);

measureScrollbar();
followTheme(app.settings);
reportUncaught(window, report);
window.addEventListener("pagehide", () => {
  void app.drafts.save();
  void app.tools.saveDraft();
});
bridge.connect();
// After the frame in which the page was first drawn; the backend does what would have slowed it down.
void app.start().then(() => requestAnimationFrame(() => void api.diagnostics.page_ready()));

const root = document.getElementById("root");
if (!root) throw new Error("index.html has no #root");
render(
  <ReportContext.Provider value={report}>
    <ErrorBoundary where="Deskside" report={report}>
      <AppView app={app} isConnected={bridge.isConnected} />
    </ErrorBoundary>
  </ReportContext.Provider>,
  root,
);
