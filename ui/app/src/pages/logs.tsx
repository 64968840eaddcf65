import { lazy, Suspense, useCallback, useEffect, useMemo, useRef, useState, type FormEvent, type KeyboardEvent } from "react";
import { mergeRows, nextEnd, queryLines, queryMatrix, toNanos, type LogRow } from "../api/loki";
import { Button, Card, Empty, ErrorBox, PageHead, Progress, Skeleton } from "../components/basics";
import { Icon } from "../components/icons";
import { LabelBrowser } from "../components/LabelBrowser";
import { LogLine, type FieldKind } from "../components/LogLine";
import { PatternList } from "../components/PatternList";
import { SeriesLegend } from "../components/SeriesLegend";
import { TimePicker } from "../components/TimePicker";
import { VirtualList } from "../components/VirtualList";
import { levelColor, VolumeChart } from "../components/VolumeChart";
import { useQuery } from "../hooks/useQuery";
import { useStored } from "../hooks/useStored";
import { timedKey, useTime } from "../hooks/useTime";
import { assignColors, paletteColor } from "../lib/colors";
import { withoutThreshold } from "../lib/correlate";
import { formatCount, plural } from "../lib/format";
import { totals, volumeBuckets } from "../lib/histogram";
import {
  addFieldFilter,
  addStreamMatcher,
  isMetricQuery,
  linesBehind,
  toLogQL,
  volumeQuery,
  withoutFormatting,
} from "../lib/logql";
import { alignMatrix, commonLabels, shortName } from "../lib/matrix";
import { setParams, useParam } from "../lib/router";
import { alignInterval, chooseStep, day, formatDateTime, isRelative } from "../lib/time";

const TimeChart = lazy(() => import("../components/TimeChart"));

const pageSize = 500;

export default function LogsPage() {
  const typed = useParam("q");
  const time = useTime();
  const [draft, setDraft] = useState(typed);
  const [browser, setBrowser] = useStored<"open" | "closed">("log-labels", window.innerWidth > 1100 ? "open" : "closed");
  useEffect(() => setDraft(typed), [typed]);

  const query = toLogQL(typed);
  const run = (text: string) => {
    setParams({ q: text.trim() });
    time.refreshNow();
  };
  const submit = (event: FormEvent) => {
    event.preventDefault();
    run(draft);
  };

  return (
    <div className="page fill">
      <PageHead title="Logs" note="Words, or LogQL">
        <TimePicker />
      </PageHead>
      <form className="query-bar" onSubmit={submit}>
        <Button
          icon="list"
          aria-pressed={browser === "open"}
          title="Label browser"
          onClick={() => setBrowser(browser === "open" ? "closed" : "open")}
        />
        <div className="query-input">
          <Icon name="search" />
          <input
            className="mono"
            value={draft}
            onChange={(event) => setDraft(event.target.value)}
            placeholder='payment declined   or   {service_name="checkout"} |= "timeout"'
            aria-label="Log query"
            spellCheck={false}
            autoComplete="off"
            data-search
          />
          {draft && (
            <Button kind="ghost" small icon="close" title="Clear" onClick={() => run("")} />
          )}
        </div>
        <Button kind="primary" icon="play" type="submit" title="Run (Enter)">
          Run
        </Button>
      </form>
      {query !== typed.trim() && typed.trim() !== "" && (
        <p className="translated">
          Asked as <code>{query}</code>
        </p>
      )}
      <div className={browser === "open" ? "with-side" : "without-side"}>
        {browser === "open" && <LabelBrowser onPick={(label, value) => run(addStreamMatcher(query, label, "=", value))} />}
        {isMetricQuery(query) ? <MetricResult query={query} onQuery={run} /> : <Lines query={query} onQuery={run} />}
      </div>
    </div>
  );
}

function Lines({ query, onQuery }: { query: string; onQuery: (query: string) => void }) {
  const time = useTime();
  const patterns = useParam("view") === "patterns";
  const [wrap, setWrap] = useStored<"yes" | "no">("log-wrap", "no");
  const [open, setOpen] = useState<ReadonlySet<string>>(new Set());
  const [active, setActive] = useState(-1);
  const first = useQuery(
    patterns ? null : timedKey(time, "lines", query),
    (signal) => queryLines(query, toNanos(time.interval.from), toNanos(time.interval.to), pageSize, signal),
    query,
  );
  const older = useOlderLines(query, first.data);
  const rows = older.rows;

  const live = time.refresh !== "off";
  const colors = useMemo(() => assignColors(rows.map((row) => row.stream.service_name ?? "")), [rows]);
  const withDate = time.interval.to - time.interval.from > day;
  const keyOf = useCallback((row: LogRow) => row.key, []);
  const toggle = useCallback((row: LogRow) => {
    setOpen((before) => {
      const next = new Set(before);
      if (!next.delete(row.key)) next.add(row.key);
      return next;
    });
  }, []);
  const current = useRef({ query, onQuery });
  useEffect(() => {
    current.current = { query, onQuery };
  });
  const filter = useCallback((kind: FieldKind, name: string, value: string, match: "=" | "!=") => {
    const add = kind === "stream" ? addStreamMatcher : addFieldFilter;
    current.current.onQuery(add(current.current.query, name, match, value));
  }, []);

  const onKey = (event: KeyboardEvent) => {
    const row = rows[active];
    if (event.key === "j" || event.key === "ArrowDown") setActive(Math.min(rows.length - 1, active + 1));
    else if (event.key === "k" || event.key === "ArrowUp") setActive(Math.max(0, active - 1));
    else if (event.key === "Enter" && row) toggle(row);
    else return;
    event.preventDefault();
  };

  return (
    <Card className="logs-card" flush>
      <Progress active={first.loading || older.loading} />
      <Volume query={query} />
      <div className="logs-bar">
        <span className="muted small">
          {patterns ? "Patterns, the most frequent first" : first.data ? `${plural(rows.length, "line")}${older.done ? "" : ", newest first"}` : "Loading lines…"}
        </span>
        <Button
          small
          icon="list"
          aria-pressed={patterns}
          title="What the lines look like, and how often"
          onClick={() => setParams({ view: patterns ? null : "patterns" })}
        >
          Patterns
        </Button>
        <Button
          small
          icon="play"
          aria-pressed={live}
          title="New lines every two seconds"
          disabled={!isRelative(time.range)}
          onClick={() => time.setRefresh(live ? "off" : "2s")}
        >
          Live
        </Button>
        <Button small icon="wrap" aria-pressed={wrap === "yes"} onClick={() => setWrap(wrap === "yes" ? "no" : "yes")}>
          Wrap
        </Button>
        {open.size > 0 && (
          <Button small kind="ghost" onClick={() => setOpen(new Set())}>
            Close all
          </Button>
        )}
      </div>
      {patterns && <PatternList query={query} onQuery={onQuery} />}
      {first.error && (
        <div className="pad">
          <ErrorBox error={first.error} onRetry={first.refetch} />
        </div>
      )}
      {!first.data && first.loading && <Skeleton rows={10} />}
      {first.data && rows.length === 0 && !first.error && (
        <Empty icon="logs" title="No lines in this time range">
          <p>
            Nothing matches <code>{query}</code> between {formatDateTime(time.interval.from)} and {formatDateTime(time.interval.to)}.
          </p>
          <Button onClick={() => time.setRange({ from: "now-24h", to: "now" })}>Look at the last 24 hours</Button>
        </Empty>
      )}
      {rows.length > 0 && (
        <VirtualList
          className="log-list"
          items={rows}
          itemKey={keyOf}
          estimate={25}
          label="Log lines"
          onNearEnd={older.done || older.error ? undefined : older.load}
          onKeyDown={onKey}
          reveal={active}
          render={(row, index) => (
            <LogLine
              row={row}
              open={open.has(row.key)}
              active={index === active}
              wrap={wrap === "yes"}
              withDate={withDate}
              color={colors.get(row.stream.service_name ?? "") ?? "inherit"}
              onToggle={toggle}
              onFilter={filter}
            />
          )}
          footer={
            <div className="logs-foot">
              {older.error && <ErrorBox error={older.error} onRetry={older.load} />}
              {older.done ? (
                <span className="faint small">That is everything in this time range</span>
              ) : (
                <Button small onClick={older.load} disabled={older.loading}>
                  {older.loading ? "Loading…" : "Load older lines"}
                </Button>
              )}
            </div>
          }
        />
      )}
    </Card>
  );
}

interface Older {
  rows: LogRow[];
  /** No older lines are left in the range. */
  done: boolean;
  loading: boolean;
  error: Error | null;
  load: () => void;
}

const noRows: LogRow[] = [];

/** Pages back in time from the first answer; a new first answer starts over. */
function useOlderLines(query: string, firstPage: LogRow[] | null): Older {
  const { interval } = useTime();
  const [extra, setExtra] = useState<{ base: LogRow[] | null; rows: LogRow[]; done: boolean }>({ base: null, rows: [], done: false });
  const [loading, setLoading] = useState(false);
  const [error, setError] = useState<Error | null>(null);
  const current = extra.base === firstPage ? extra : { base: firstPage, rows: noRows, done: false };
  const rows = useMemo(
    () => (current.rows.length > 0 ? mergeRows(firstPage ?? noRows, current.rows) : (firstPage ?? noRows)),
    [firstPage, current.rows],
  );
  const controller = useRef<AbortController | null>(null);

  useEffect(() => {
    setError(null);
    setLoading(false);
    return () => controller.current?.abort();
  }, [firstPage]);

  const load = useCallback(() => {
    if (loading || !firstPage || rows.length === 0) return;
    const abort = new AbortController();
    controller.current = abort;
    setLoading(true);
    setError(null);
    queryLines(query, toNanos(interval.from), nextEnd(rows), pageSize, abort.signal)
      .then((page) => {
        if (abort.signal.aborted) return;
        const merged = mergeRows(rows, page);
        setExtra({
          base: firstPage,
          rows: merged.slice(firstPage.length),
          done: page.length < pageSize || merged.length === rows.length,
        });
      })
      .catch((cause: unknown) => {
        if (!abort.signal.aborted) setError(cause instanceof Error ? cause : new Error(String(cause)));
      })
      .finally(() => {
        if (!abort.signal.aborted) setLoading(false);
      });
  }, [loading, firstPage, rows, query, interval.from]);

  return { rows, done: current.done || (firstPage?.length ?? 0) < pageSize, loading, error, load };
}

function Volume({ query }: { query: string }) {
  const time = useTime();
  const step = chooseStep(time.interval, 90);
  const interval = useMemo(() => alignInterval(time.interval, step), [time.interval, step]);
  const counted = withoutFormatting(query);
  const answer = useQuery(
    timedKey(time, "volume", counted),
    async (signal) => {
      const series = await queryMatrix(volumeQuery(counted, step), interval, step, signal);
      return { buckets: volumeBuckets(series, interval.from, interval.to, step), step };
    },
    counted,
  );
  if (answer.error && !answer.data) {
    return (
      <div className="volume-fault small muted" title={answer.error.message}>
        The volume over time could not be counted: {answer.error.message.slice(0, 160)}
      </div>
    );
  }
  const sums = totals(answer.data?.buckets ?? []);
  return (
    <div className="volume-box">
      <VolumeChart
        buckets={answer.data?.buckets ?? []}
        stepMs={answer.data?.step ?? step}
        onZoom={(from, to) => time.setRange({ from: String(from), to: String(to) })}
      />
      <div className="volume-legend">
        {sums.map(({ level, count }) => (
          <span key={level}>
            <span className="dot" style={{ background: levelColor(level) }} /> {level} <b>{formatCount(count)}</b>
          </span>
        ))}
      </div>
    </div>
  );
}

const maxSeries = 100;

/** A LogQL query that counts is drawn, with a way to the lines behind it. */
function MetricResult({ query, onQuery }: { query: string; onQuery: (query: string) => void }) {
  const time = useTime();
  const step = chooseStep(time.interval, 240);
  const [hidden, setHidden] = useState<ReadonlySet<number>>(new Set());
  const interval = useMemo(() => alignInterval(time.interval, step), [time.interval, step]);
  const answer = useQuery(
    timedKey(time, "log-metric", query),
    async (signal) => ({ lines: (await queryMatrix(query, interval, step, signal)).slice(0, maxSeries), interval, step }),
    query,
  );
  const lines = useMemo(() => answer.data?.lines ?? [], [answer.data]);
  const common = useMemo(() => commonLabels(lines.map((line) => line.labels)), [lines]);
  const data = useMemo(
    () => (answer.data ? alignMatrix(lines, answer.data.interval.from, answer.data.interval.to, answer.data.step) : { xs: [], ys: [] }),
    [answer.data, lines],
  );
  const series = useMemo(
    () => lines.map((line, i) => ({ name: shortName(line.labels, common), color: paletteColor(i), hidden: hidden.has(i) })),
    [lines, common, hidden],
  );
  const behind = linesBehind(query);
  const toggle = (index: number, alone: boolean) => {
    const next = new Set(hidden);
    if (alone) {
      const isAlone = !hidden.has(index) && hidden.size === lines.length - 1;
      next.clear();
      if (!isAlone) lines.forEach((_, i) => i !== index && next.add(i));
    } else if (!next.delete(index)) next.add(index);
    setHidden(next);
  };
  return (
    <Card
      className="graph-card scroll-card"
      title={answer.data ? plural(lines.length, "series", "series") : "Graph"}
      actions={
        behind && (
          <Button small icon="logs" onClick={() => onQuery(behind)}>
            Show the lines behind it
          </Button>
        )
      }
      flush
    >
      <Progress active={answer.loading} />
      {answer.error && (
        <div className="pad">
          <ErrorBox error={answer.error} onRetry={answer.refetch} />
        </div>
      )}
      {!answer.data && answer.loading && <Skeleton rows={8} />}
      {answer.data && lines.length === 0 && (
        <Empty icon="logs" title="Nothing to count in this time range">
          {withoutThreshold(query) !== query && (
            <Button onClick={() => onQuery(withoutThreshold(query))}>Show the value without the threshold</Button>
          )}
        </Empty>
      )}
      {lines.length > 0 && (
        <>
          <div className="pad chart-pad">
            <Suspense fallback={<Skeleton rows={8} />}>
              <TimeChart
                series={series}
                data={data}
                height={320}
                onZoom={(from, to) => time.setRange({ from: String(from), to: String(to) })}
              />
            </Suspense>
          </div>
          <SeriesLegend lines={lines} series={series} common={common} onToggle={toggle} />
        </>
      )}
    </Card>
  );
}
