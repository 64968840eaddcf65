import { useEffect, useMemo, useState, type FormEvent } from "react";
import { operations, searchTraces, services, tagNames, type TraceSummary } from "../api/traces";
import { Button, Card, Dot, Empty, ErrorBox, Field, Link, PageHead, Progress, Skeleton } from "../components/basics";
import { Icon } from "../components/icons";
import { TimePicker } from "../components/TimePicker";
import { TraceScatter } from "../components/TraceScatter";
import { useQuery } from "../hooks/useQuery";
import { timedKey, useTime } from "../hooks/useTime";
import { assignColors } from "../lib/colors";
import { formatMillis, plural } from "../lib/format";
import { kindOfExpression } from "../lib/kinds";
import { spansBehind } from "../lib/logql";
import { linkTo, navigate, setParams, useSearch } from "../lib/router";
import { formatClock, formatDateTime, parseDuration, type Interval } from "../lib/time";
import { asTraceId, toTraceQL, type TraceSearch } from "../lib/traceql";

const limits = ["20", "50", "100", "200", "500"];

function readSearch(search: string): TraceSearch & { raw: string; limit: string } {
  const params = new URLSearchParams(search);
  return {
    service: params.get("service") ?? "",
    operation: params.get("operation") ?? "",
    tags: params.get("tags") ?? "",
    minDuration: params.get("min") ?? "",
    maxDuration: params.get("max") ?? "",
    errorsOnly: params.get("errors") === "1",
    raw: params.get("q") ?? "",
    limit: params.get("limit") ?? "100",
  };
}

/** A query for numbers (a rule's, say) is searched for the spans that it counts. */
function searchable(query: string): string {
  return kindOfExpression(query) === "traces" ? (spansBehind(query) ?? query) : query;
}

export default function TracesPage() {
  const time = useTime();
  const search = useSearch();
  const applied = useMemo(() => readSearch(search), [search]);
  const [draft, setDraft] = useState(applied);
  const [mode, setMode] = useState<"form" | "traceql">(applied.raw ? "traceql" : "form");
  const [sort, setSort] = useState<"newest" | "longest">("newest");
  useEffect(() => {
    setDraft(applied);
    if (applied.raw) setMode("traceql");
  }, [applied]);

  const query = searchable(applied.raw.trim() || toTraceQL(applied));
  const answer = useQuery(
    timedKey(time, "traces", query, applied.limit),
    (signal) => searchTraces(query, time.interval, Number(applied.limit) || 100, signal),
    query,
  );
  const known = useQuery(timedKey(time, "services"), services, "services");
  const names = useQuery(draft.service ? `ops:${draft.service}` : null, (signal) => operations(draft.service, signal), draft.service);
  const tags = useQuery("tags", tagNames);

  const run = (next: typeof draft) => {
    const id = asTraceId(next.raw);
    if (mode === "traceql" && id) {
      navigate(linkTo(`/traces/${id}`));
      return;
    }
    setParams({
      service: mode === "form" ? next.service : null,
      operation: mode === "form" ? next.operation : null,
      tags: mode === "form" ? next.tags : null,
      min: mode === "form" ? next.minDuration : null,
      max: mode === "form" ? next.maxDuration : null,
      errors: mode === "form" && next.errorsOnly ? "1" : null,
      q: mode === "traceql" ? next.raw : null,
      limit: next.limit === "100" ? null : next.limit,
    });
    time.refreshNow();
  };
  const submit = (event: FormEvent) => {
    event.preventDefault();
    run(draft);
  };
  const set = (change: Partial<typeof draft>) => setDraft({ ...draft, ...change });
  const switchMode = (to: "form" | "traceql") => {
    if (to === "traceql" && !draft.raw) set({ raw: toTraceQL(draft) });
    setMode(to);
  };
  const durationFault = (text: string) => text.trim() !== "" && parseDuration(text) === null;

  const traces = useMemo(() => {
    const list = [...(answer.data ?? [])];
    return sort === "longest" ? list.sort((a, b) => b.durationMs - a.durationMs) : list;
  }, [answer.data, sort]);

  const cut = traces.length >= (Number(applied.limit) || 100);

  return (
    <div className="page">
      <PageHead title="Traces" note="By service, attribute, duration, or TraceQL">
        <TimePicker />
      </PageHead>
      <form className="card trace-search" onSubmit={submit}>
        <div className="segmented" role="group" aria-label="Search mode">
          <button type="button" className={mode === "form" ? "active" : ""} onClick={() => switchMode("form")}>
            Search
          </button>
          <button type="button" className={mode === "traceql" ? "active" : ""} onClick={() => switchMode("traceql")}>
            TraceQL or id
          </button>
        </div>
        {mode === "form" ? (
          <div className="trace-form">
            <Field label="Service">
              <span className="select-wrap">
                <select
                  aria-label="Service"
                  value={draft.service}
                  onChange={(event) => {
                    const next = { ...draft, service: event.target.value, operation: "", raw: "" };
                    setDraft(next);
                    run(next);
                  }}
                >
                  <option value="">All services</option>
                  {draft.service && !known.data?.includes(draft.service) && <option>{draft.service}</option>}
                  {known.data?.map((name) => (
                    <option key={name}>{name}</option>
                  ))}
                </select>
                <Icon name="down" size={12} />
              </span>
            </Field>
            <Field label="Operation">
              <input
                value={draft.operation}
                onChange={(event) => set({ operation: event.target.value })}
                list="operations"
                placeholder="any"
                spellCheck={false}
              />
              <datalist id="operations">
                {names.data?.map((name) => (
                  <option key={name} value={name} />
                ))}
              </datalist>
            </Field>
            <Field label="Tags">
              <input
                className="mono"
                value={draft.tags}
                onChange={(event) => set({ tags: event.target.value })}
                list="tag-names"
                placeholder="http.response.status_code>=500 user.tier=gold"
                spellCheck={false}
                data-search
              />
              <datalist id="tag-names">
                {tags.data?.map((name) => (
                  <option key={name} value={`${name}=`} />
                ))}
              </datalist>
            </Field>
            <Field label="Duration from">
              <input
                value={draft.minDuration}
                onChange={(event) => set({ minDuration: event.target.value })}
                placeholder="100ms"
                aria-invalid={durationFault(draft.minDuration)}
              />
            </Field>
            <Field label="to">
              <input
                value={draft.maxDuration}
                onChange={(event) => set({ maxDuration: event.target.value })}
                placeholder="2s"
                aria-invalid={durationFault(draft.maxDuration)}
              />
            </Field>
            <label className="check">
              <input type="checkbox" checked={draft.errorsOnly} onChange={(event) => set({ errorsOnly: event.target.checked })} />
              With errors
            </label>
            <Button
              kind="primary"
              icon="search"
              type="submit"
              disabled={durationFault(draft.minDuration) || durationFault(draft.maxDuration)}
            >
              Find traces
            </Button>
          </div>
        ) : (
          <div className="query-bar">
            <div className="query-input">
              <Icon name="search" />
              <input
                className="mono"
                value={draft.raw}
                onChange={(event) => set({ raw: event.target.value })}
                placeholder='{ resource.service.name = "checkout" && duration > 200ms }   or a trace id'
                aria-label="TraceQL"
                spellCheck={false}
                data-search
              />
            </div>
            <Button kind="primary" icon="search" type="submit">
              Find traces
            </Button>
          </div>
        )}
        {(mode === "form" || query !== applied.raw.trim()) && (
          <p className="translated no-indent">
            Asked as <code>{query}</code>
          </p>
        )}
      </form>
      <Card
        title={answer.data ? (cut ? `The newest ${plural(traces.length, "trace")}` : plural(traces.length, "trace")) : "Traces"}
        actions={
          <>
            <label className="check">
              Order
              <span className="select-wrap">
                <select value={sort} onChange={(event) => setSort(event.target.value === "longest" ? "longest" : "newest")}>
                  <option value="newest">newest first</option>
                  <option value="longest">longest first</option>
                </select>
                <Icon name="down" size={12} />
              </span>
            </label>
            <label className="check">
              Limit
              <span className="select-wrap">
                <select value={applied.limit} onChange={(event) => setParams({ limit: event.target.value === "100" ? null : event.target.value })}>
                  {limits.map((limit) => (
                    <option key={limit}>{limit}</option>
                  ))}
                </select>
                <Icon name="down" size={12} />
              </span>
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
        {!answer.data && answer.loading && <Skeleton rows={8} />}
        {answer.data && traces.length === 0 && (
          <Empty icon="traces" title="No traces in this time range">
            <p>
              Nothing matches <code>{query}</code> between {formatDateTime(time.interval.from)} and {formatDateTime(time.interval.to)}.
            </p>
          </Empty>
        )}
        {traces.length > 0 && (
          <>
            <TraceScatter
              traces={traces}
              interval={cut ? extentOf(traces) : time.interval}
              onOpen={(id) => navigate(linkTo(`/traces/${id}`))}
              onZoom={(from, to) => time.setRange({ from: String(from), to: String(to) })}
            />
            <TraceTable traces={traces} longRange={time.interval.to - time.interval.from > 86_400_000} />
          </>
        )}
      </Card>
    </div>
  );
}

/** The time in which these traces started: where a limit cut them, the range would be mostly empty. */
function extentOf(traces: TraceSummary[]): Interval {
  const starts = traces.map((trace) => trace.startMs);
  const from = Math.min(...starts);
  const to = Math.max(...starts);
  const margin = Math.max(100, (to - from) * 0.02);
  return { from: from - margin, to: to + margin };
}

function TraceTable({ traces, longRange }: { traces: TraceSummary[]; longRange: boolean }) {
  const longest = Math.max(1, ...traces.map((trace) => trace.durationMs));
  const colors = useMemo(
    () => assignColors(traces.flatMap((trace) => [trace.rootService, ...trace.services.map((one) => one.service)])),
    [traces],
  );
  return (
    <div className="table-scroll">
      <table className="trace-table">
        <thead>
          <tr>
            <th>Trace</th>
            <th>Services</th>
            <th className="num">Spans</th>
            <th className="num">Started</th>
            <th>Duration</th>
          </tr>
        </thead>
        <tbody>
          {traces.map((trace) => {
            const spans = trace.services.reduce((sum, one) => sum + one.spans, 0);
            const errors = trace.services.reduce((sum, one) => sum + one.errors, 0);
            return (
              <tr key={trace.id} className="clickable" onClick={() => navigate(linkTo(`/traces/${trace.id}`))}>
                <td>
                  <Link to={`/traces/${trace.id}`} className="trace-link">
                    <Dot color={colors.get(trace.rootService) ?? "var(--text-faint)"} />
                    <b>{trace.rootService || "(root not seen yet)"}</b>
                    <span>{trace.rootName}</span>
                  </Link>
                </td>
                <td>
                  <span className="service-dots">
                    {trace.services.map((one) => (
                      <span key={one.service} title={`${one.service}: ${plural(one.spans, "span")}${one.errors ? `, ${plural(one.errors, "error")}` : ""}`}>
                        <Dot color={colors.get(one.service) ?? "var(--text-faint)"} />
                      </span>
                    ))}
                  </span>
                </td>
                <td className="num nowrap">
                  {errors > 0 && <span className="bad">{plural(errors, "error")} · </span>}
                  {spans || trace.matched || "–"}
                </td>
                <td className="num nowrap muted mono" title={formatDateTime(trace.startMs)}>
                  {longRange ? formatDateTime(trace.startMs).slice(5) : formatClock(trace.startMs, true)}
                </td>
                <td className="duration-cell">
                  <span className="mono">{formatMillis(trace.durationMs)}</span>
                  <span className="duration-bar">
                    <span
                      style={{
                        width: `${Math.max(1, (trace.durationMs / longest) * 100)}%`,
                        background: errors > 0 ? "var(--bad)" : "var(--accent)",
                      }}
                    />
                  </span>
                </td>
              </tr>
            );
          })}
        </tbody>
      </table>
    </div>
  );
}
