import { lazy, Suspense, useCallback, useMemo, useState } from "react";
import { queryExemplars, queryInstant, queryRange, type Exemplar, type InstantSample } from "../api/prometheus";
import { Button, Card, Empty, ErrorBox, LabelTags, PageHead, Progress, Skeleton, Tabs } from "../components/basics";
import { MetricBrowser } from "../components/MetricBrowser";
import { SeriesLegend } from "../components/SeriesLegend";
import { TimePicker } from "../components/TimePicker";
import type { ChartPoint } from "../components/TimeChart";
import { timedKey, useTime } from "../hooks/useTime";
import { useQuery } from "../hooks/useQuery";
import { paletteColor } from "../lib/colors";
import { formatNumber, formatSeries, plural } from "../lib/format";
import { alignMatrix, commonLabels, shortName, type MatrixSeries } from "../lib/matrix";
import { linkTo, navigate, setParams, useSearch } from "../lib/router";
import { alignInterval, chooseStep, formatDateTime, formatDuration } from "../lib/time";

const PromEditor = lazy(() => import("../components/PromEditor"));
const TimeChart = lazy(() => import("../components/TimeChart"));

const letters = "ABCDEFGHIJ";
const maxSeries = 250;

interface Line extends MatrixSeries {
  id: string;
  query: number;
}

export default function MetricsPage() {
  const search = useSearch();
  const time = useTime();
  const params = new URLSearchParams(search);
  const expressions = params.getAll("expr").filter((text) => text.trim() !== "");
  const tab = params.get("tab") === "table" ? "table" : "graph";
  const withExemplars = params.get("exemplars") !== "off";
  const [drafts, setDrafts] = useState<string[]>(() => (expressions.length > 0 ? expressions : [""]));
  const [browsing, setBrowsing] = useState(false);

  const signature = JSON.stringify(expressions);
  const [seen, setSeen] = useState(signature);
  if (seen !== signature) {
    // The address changed (a link, the back button): the editors follow it.
    setSeen(signature);
    if (signature !== JSON.stringify(drafts.filter((text) => text.trim()))) {
      setDrafts(expressions.length > 0 ? expressions : [""]);
    }
  }

  const run = useCallback(
    (texts: string[]) => {
      const wanted = texts.map((text) => text.trim()).filter(Boolean);
      if (JSON.stringify(wanted) === signature) time.refreshNow();
      else {
        setParams({ expr: wanted });
        time.refreshNow();
      }
    },
    [signature, time],
  );
  const edit = (index: number, text: string) => setDrafts(drafts.map((old, i) => (i === index ? text : old)));

  return (
    <div className="page">
      <PageHead title="Metrics" note="PromQL over everything Belfry has measured">
        <TimePicker />
      </PageHead>
      <div className="queries">
        {drafts.map((draft, i) => (
          // Rows have no identity but their place.
          // oxlint-disable-next-line react/no-array-index-key
          <div key={i} className="query-row">
            <span className="query-letter">{letters[i]}</span>
            <div className="query-field" {...(i === 0 ? { "data-testid": "promql" } : {})}>
              <Suspense fallback={<div className="editor-wait mono">{draft}</div>}>
                <PromEditor
                  value={draft}
                  onChange={(text) => edit(i, text)}
                  onRun={() => run(drafts)}
                  placeholder="sum by (service_name) (rate(http_server_request_duration_seconds_count[5m]))"
                  label={`Query ${letters[i]}`}
                  autoFocus={i === 0 && draft === ""}
                />
              </Suspense>
            </div>
            {drafts.length > 1 && (
              <Button
                kind="ghost"
                icon="close"
                title="Remove query"
                onClick={() => {
                  const rest = drafts.filter((_, at) => at !== i);
                  setDrafts(rest);
                  run(rest);
                }}
              />
            )}
          </div>
        ))}
        <div className="query-actions">
          <Button kind="primary" icon="play" onClick={() => run(drafts)} title="Run (Enter)">
            Run
          </Button>
          <Button icon="list" onClick={() => setBrowsing(true)}>
            Browse metrics
          </Button>
          {drafts.length < letters.length && (
            <Button kind="ghost" icon="plus" onClick={() => setDrafts([...drafts, ""])}>
              Add query
            </Button>
          )}
        </div>
      </div>
      <Tabs
        items={[
          { id: "graph", label: "Graph" },
          { id: "table", label: "Table" },
        ]}
        value={tab}
        onChange={(id) => setParams({ tab: id === "table" ? "table" : null }, { replace: true })}
      />
      {expressions.length === 0 ? (
        <Card>
          <Empty icon="metrics" title="Ask for a metric">
            <p>Type PromQL above (completion knows your metrics and labels), or pick a metric from the list.</p>
            <Button kind="primary" icon="list" onClick={() => setBrowsing(true)}>
              Browse metrics
            </Button>
          </Empty>
        </Card>
      ) : tab === "graph" ? (
        <Graph expressions={expressions} withExemplars={withExemplars} />
      ) : (
        <InstantTable expressions={expressions} />
      )}
      {browsing && (
        <MetricBrowser
          onClose={() => setBrowsing(false)}
          onPick={(expr) => {
            setBrowsing(false);
            const empty = drafts.findIndex((text) => text.trim() === "");
            const next = empty >= 0 ? drafts.map((text, i) => (i === empty ? expr : text)) : [...drafts.slice(0, -1), expr];
            setDrafts(next);
            run(next);
          }}
        />
      )}
    </div>
  );
}

function Graph({ expressions, withExemplars }: { expressions: string[]; withExemplars: boolean }) {
  const time = useTime();
  const step = chooseStep(time.interval, 480);
  const interval = useMemo(() => alignInterval(time.interval, step), [time.interval, step]);
  const scope = JSON.stringify(expressions);
  const [hidden, setHidden] = useState<ReadonlySet<string>>(new Set());

  const answer = useQuery(
    timedKey(time, "range", scope, step),
    async (signal) => {
      const answers = await Promise.all(expressions.map((expr) => queryRange(expr, interval, step, signal)));
      const lines: Line[] = answers.flatMap((one, query) =>
        one.result.map((series) => ({ ...series, query, id: `${query}:${formatSeries(series.labels)}` })),
      );
      return { lines, warnings: answers.flatMap((one) => one.warnings), interval, step };
    },
    scope,
  );
  const exemplars = useQuery(
    withExemplars ? timedKey(time, "exemplars", scope) : null,
    async (signal) => (await Promise.all(expressions.map((expr) => queryExemplars(expr, interval, signal)))).flat(),
    scope,
  );

  const lines = useMemo(() => answer.data?.lines.slice(0, maxSeries) ?? [], [answer.data]);
  const common = useMemo(() => commonLabels(lines.map((line) => line.labels)), [lines]);
  const data = useMemo(
    () =>
      answer.data
        ? alignMatrix(lines, answer.data.interval.from, answer.data.interval.to, answer.data.step)
        : { xs: [], ys: [] },
    [answer.data, lines],
  );
  const series = useMemo(
    () =>
      lines.map((line, i) => ({
        name: (expressions.length > 1 ? `${letters[line.query]}: ` : "") + shortName(line.labels, common),
        color: paletteColor(i),
        hidden: hidden.has(line.id),
      })),
    [lines, common, hidden, expressions.length],
  );
  const points = useMemo(() => placeExemplars(exemplars.data ?? [], data.ys), [exemplars.data, data]);

  const toggle = (index: number, alone: boolean) => {
    const ids = lines.map((line) => line.id);
    const id = ids[index];
    if (id === undefined) return;
    const next = new Set(hidden);
    if (alone) {
      const others = ids.filter((other) => other !== id);
      const isAlone = !hidden.has(id) && others.every((other) => hidden.has(other));
      next.clear();
      if (!isAlone) for (const other of others) next.add(other);
    } else if (next.has(id)) next.delete(id);
    else next.add(id);
    setHidden(next);
  };

  const total = answer.data?.lines.length ?? 0;
  return (
    <Card
      className="graph-card"
      title={answer.data ? `${plural(total, "series", "series")}` : "Graph"}
      actions={
        <>
          <span className="muted small">step {formatDuration(step)}</span>
          <label className="check">
            <input
              type="checkbox"
              checked={withExemplars}
              onChange={(event) => setParams({ exemplars: event.target.checked ? null : "off" }, { replace: true })}
            />
            Exemplars
          </label>
        </>
      }
      flush
    >
      <Progress active={answer.loading} />
      {answer.error && (
        <div className="pad">
          <ErrorBox error={answer.error} onRetry={answer.refetch} />
        </div>
      )}
      {answer.data?.warnings.map((warning) => (
        <div key={warning} className="pad">
          <div className="notice">{warning}</div>
        </div>
      ))}
      {total > maxSeries && (
        <div className="pad">
          <div className="notice">
            {plural(total, "series", "series")} match; the first {maxSeries} are drawn. Aggregate, or filter by a label.
          </div>
        </div>
      )}
      {!answer.data && answer.loading && <Skeleton rows={8} />}
      {answer.data && lines.length === 0 && (
        <Empty icon="metrics" title="No series in this time range">
          <p>The query is valid, and nothing matched it between {formatDateTime(interval.from)} and {formatDateTime(interval.to)}.</p>
        </Empty>
      )}
      {answer.data && lines.length > 0 && (
        <>
          <div className="pad chart-pad">
            <Suspense fallback={<Skeleton rows={8} />}>
              <TimeChart
                series={series}
                data={data}
                height={360}
                points={points}
                onPoint={(point) => navigate(linkTo(`/traces/${point.id}`))}
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

/** How many exemplars a chart shows: more would be a smear. */
const exemplarSlots = 80;

/**
 * Exemplars with a trace as marks, thinned to the largest of each stretch of
 * time. Those of a quantity other than the chart's axis stand at its top.
 */
function placeExemplars(list: Exemplar[], columns: (number | null)[][]): ChartPoint[] {
  let most = 0;
  for (const column of columns) for (const value of column) if (value !== null && value > most) most = value;
  const times = list.map((exemplar) => exemplar.time);
  const first = times.reduce((least, time) => Math.min(least, time), Infinity);
  const last = times.reduce((greatest, time) => Math.max(greatest, time), -Infinity);
  const width = Math.max(1e-3, (last - first) / exemplarSlots);
  const largest = new Map<number, ChartPoint>();
  for (const exemplar of list) {
    const id = exemplar.labels.trace_id ?? exemplar.labels.traceID ?? exemplar.labels.traceId ?? "";
    if (!id) continue;
    const slot = Math.floor((exemplar.time - first) / width);
    if ((largest.get(slot)?.value ?? -Infinity) >= exemplar.value) continue;
    const service = exemplar.seriesLabels.service_name ?? exemplar.seriesLabels.job ?? "";
    largest.set(slot, { time: exemplar.time, value: exemplar.value, id, label: `${service} trace ${id.slice(0, 8)}… (click to open)` });
  }
  return [...largest.values()].map((point) => ({ ...point, value: point.value <= most * 1.5 ? point.value : most }));
}

const tableLimit = 500;

function InstantTable({ expressions }: { expressions: string[] }) {
  const time = useTime();
  const scope = JSON.stringify(expressions);
  const [descending, setDescending] = useState<boolean | null>(null);
  const answer = useQuery(
    timedKey(time, "instant", scope),
    async (signal) => {
      const answers = await Promise.all(expressions.map((expr) => queryInstant(expr, time.interval.to, signal)));
      return answers.flatMap((one, query) => one.result.map((sample) => ({ ...sample, query })));
    },
    scope,
  );
  const rows = useMemo(() => {
    const list = [...(answer.data ?? [])];
    if (descending !== null) {
      list.sort((a, b) => (descending ? -1 : 1) * (Number(a.value) - Number(b.value)));
    }
    return list;
  }, [answer.data, descending]);

  return (
    <Card title={answer.data ? plural(rows.length, "row") : "Table"} actions={<span className="muted small">at {formatDateTime(time.interval.to)}</span>} flush>
      <Progress active={answer.loading} />
      {answer.error && (
        <div className="pad">
          <ErrorBox error={answer.error} onRetry={answer.refetch} />
        </div>
      )}
      {!answer.data && answer.loading && <Skeleton />}
      {answer.data && rows.length === 0 && <Empty icon="metrics" title="No samples at this time" />}
      {rows.length > 0 && (
        <div className="table-scroll">
          <table>
            <thead>
              <tr>
                {expressions.length > 1 && <th className="narrow">Query</th>}
                <th>Series</th>
                <th className="num">
                  <button type="button" onClick={() => setDescending(descending === null ? true : !descending)}>
                    Value {descending === null ? "" : descending ? "↓" : "↑"}
                  </button>
                </th>
              </tr>
            </thead>
            <tbody>
              {rows.slice(0, tableLimit).map((row) => (
                <tr key={`${row.query}:${formatSeries(row.labels)}`}>
                  {expressions.length > 1 && <td className="faint">{letters[row.query]}</td>}
                  <td>
                    {row.labels.__name__ && <span className="mono metric-name">{row.labels.__name__}</span>}{" "}
                    <LabelTags labels={row.labels} except={["__name__"]} />
                  </td>
                  <td className="num mono" title={row.value}>
                    {valueText(row)}
                  </td>
                </tr>
              ))}
            </tbody>
          </table>
          {rows.length > tableLimit && <p className="pad muted">The first {tableLimit} rows are shown.</p>}
        </div>
      )}
    </Card>
  );
}

function valueText(row: InstantSample): string {
  if (row.histogram) return `count ${formatNumber(Number(row.histogram.count))}, sum ${formatNumber(Number(row.histogram.sum))}`;
  const value = Number(row.value);
  return Number.isFinite(value) ? formatNumber(value) : row.value;
}
