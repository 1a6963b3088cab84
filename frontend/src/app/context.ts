/** The one thing every part may need; everything else is passed down. */
import { createContext } from "preact";
import { useContext } from "preact/hooks";
import type { Report } from "../report";

export const ReportContext = createContext<Report>(() => {});

export const useReport = (): Report => useContext(ReportContext);
