import { createContext, useCallback, useContext, useEffect, useMemo, useState, type ReactNode } from "react";
import { setParams, usePath, useSearch } from "../lib/router";
import { matchRoute, type PageName } from "../routes";
import { defaultRange, parseDuration, resolveRange, type Interval, type TimeRange } from "../lib/time";

export interface TimeState {
  range: TimeRange;
  /** The range in instants, fixed until the next refresh. */
  interval: Interval;
  /** When the interval was fixed. */
  now: number;
  /** Grows with every refresh; part of the key of every request. */
  tick: number;
  /** "off" or a duration such as "10s". */
  refresh: string;
  setRange: (range: TimeRange) => void;
  setRefresh: (refresh: string) => void;
  refreshNow: () => void;
}

const Time = createContext<TimeState | null>(null);

/** Pages that show what is now refresh by themselves unless told otherwise. */
const livePages: PageName[] = ["overview", "alerts", "incidents", "incident", "oncall", "inbox"];

/** Holds the time range, which lives in the address, and the refresh clock. */
export function TimeProvider({ children }: { children: ReactNode }) {
  const search = useSearch();
  const params = new URLSearchParams(search);
  const from = params.get("from") ?? defaultRange.from;
  const to = params.get("to") ?? defaultRange.to;
  const path = usePath();
  const page = matchRoute(path)?.page;
  const refresh = params.get("refresh") ?? (page && livePages.includes(page) ? "10s" : "off");
  const [clock, setClock] = useState(() => ({ tick: 0, now: Date.now() }));

  // "Last 30 minutes" means those before the page was opened, not before an
  // earlier one was.
  const [seenPath, setSeenPath] = useState(path);
  if (seenPath !== path) {
    setSeenPath(path);
    setClock(({ tick }) => ({ tick: tick + 1, now: Date.now() }));
  }

  const refreshNow = useCallback(() => setClock(({ tick }) => ({ tick: tick + 1, now: Date.now() })), []);

  useEffect(() => {
    const every = parseDuration(refresh);
    if (every === null || every < 1000) return;
    const timer = window.setInterval(() => {
      if (document.visibilityState === "visible") refreshNow();
    }, every);
    return () => window.clearInterval(timer);
  }, [refresh, refreshNow]);

  const setRange = useCallback(
    (range: TimeRange) => {
      setParams({ from: range.from, to: range.to });
      refreshNow();
    },
    [refreshNow],
  );
  const setRefresh = useCallback((value: string) => setParams({ refresh: value }, { replace: true }), []);

  const value = useMemo<TimeState>(() => {
    const range = { from, to };
    return {
      range,
      interval: resolveRange(range, clock.now),
      now: clock.now,
      tick: clock.tick,
      refresh,
      setRange,
      setRefresh,
      refreshNow,
    };
  }, [from, to, refresh, clock, setRange, setRefresh, refreshNow]);

  return <Time.Provider value={value}>{children}</Time.Provider>;
}

export function useTime(): TimeState {
  const value = useContext(Time);
  if (!value) throw new Error("useTime outside of TimeProvider");
  return value;
}

/** A request's key: what is asked, over which interval, at which refresh. */
export function timedKey(time: TimeState, ...parts: (string | number)[]): string {
  return JSON.stringify([time.interval.from, time.interval.to, time.tick, ...parts]);
}
