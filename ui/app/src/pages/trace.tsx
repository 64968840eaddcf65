import { useCallback, useEffect, useMemo, useRef, useState, type KeyboardEvent } from "react";
import { fetchTrace } from "../api/traces";
import { ApiError } from "../api/http";
import { Button, CopyButton, Dot, Empty, ErrorBox, Link, PageHead, Skeleton, Tag } from "../components/basics";
import { Icon } from "../components/icons";
import { Minimap } from "../components/Minimap";
import { logsOf, SpanPanel } from "../components/SpanPanel";
import { VirtualList } from "../components/VirtualList";
import { useQuery } from "../hooks/useQuery";
import { useTime } from "../hooks/useTime";
import { assignColors } from "../lib/colors";
import { formatNanos, formatPercent, plural } from "../lib/format";
import { setParams, useParam } from "../lib/router";
import { formatDateTime } from "../lib/time";
import type { Trace } from "../lib/trace";
import { findRows, layoutTrace, servicesOf, ticks, visibleRows, type Row } from "../lib/waterfall";

const rowHeight = 28;

export default function TracePage({ id }: { id: string }) {
  const time = useTime();
  const answer = useQuery(`trace:${id}:${time.tick}`, (signal) => fetchTrace(id, signal), id);
  const missing = answer.error instanceof ApiError && answer.error.status === 404;
  if (answer.data && answer.data.spans.length > 0) return <TraceView trace={answer.data} />;
  return (
    <div className="page">
      <PageHead title="Trace" note={<span className="mono">{id}</span>} />
      <div className="card">
        {answer.loading && !answer.data ? (
          <Skeleton rows={10} />
        ) : answer.error && !missing ? (
          <div className="pad">
            <ErrorBox error={answer.error} onRetry={answer.refetch} />
          </div>
        ) : (
          <Empty icon="traces" title="No such trace">
            <p>Belfry has no span with this trace id. It may not have arrived yet, or its retention has passed.</p>
            <Button onClick={answer.refetch}>Look again</Button>
            <Link to="/logs" params={{ q: `{} | trace_id="${id}"` }}>
              Look for its log lines
            </Link>
          </Empty>
        )}
      </div>
    </div>
  );
}

function TraceView({ trace }: { trace: Trace }) {
  const rows = useMemo(() => layoutTrace(trace), [trace]);
  const shares = useMemo(() => servicesOf(rows), [rows]);
  const colors = useMemo(() => assignColors(shares.map((share) => share.service)), [shares]);
  const duration = Math.max(1, trace.duration);
  const [view, setView] = useState<[number, number]>([0, duration]);
  const [collapsed, setCollapsed] = useState<ReadonlySet<number>>(new Set());
  const [find, setFind] = useState("");
  const selectedId = useParam("span");
  const list = useRef<HTMLDivElement>(null);

  const found = useMemo(() => findRows(rows, find), [rows, find]);
  const foundSet = useMemo(() => new Set(found), [found]);
  const shown = useMemo(() => visibleRows(rows, collapsed), [rows, collapsed]);
  const selected = useMemo(() => rows.find((row) => row.span.id === selectedId) ?? null, [rows, selectedId]);
  const selectedAt = selected ? shown.indexOf(selected) : -1;
  const errors = useMemo(() => rows.filter((row) => row.span.error), [rows]);
  const root = rows[0];

  const select = useCallback((row: Row | null) => setParams({ span: row?.span.id ?? null }, { replace: true }), []);
  const reveal = (row: Row) => {
    // A row inside collapsed ones opens them.
    const open = new Set(collapsed);
    for (let at = row.parent; at >= 0; at = rows[at]?.parent ?? -1) open.delete(at);
    setCollapsed(open);
    select(row);
  };
  const step = (candidates: Row[], by: number) => {
    if (candidates.length === 0) return;
    const at = candidates.findIndex((row) => row === selected);
    const next = candidates[(at + by + candidates.length) % candidates.length];
    if (next) reveal(next);
  };
  const toggle = useCallback((index: number) => {
    setCollapsed((before) => {
      const next = new Set(before);
      if (!next.delete(index)) next.add(index);
      return next;
    });
  }, []);

  useEffect(() => {
    const onKey = (event: globalThis.KeyboardEvent) => {
      if (event.key === "Escape") select(null);
    };
    document.addEventListener("keydown", onKey);
    return () => document.removeEventListener("keydown", onKey);
  }, [select]);

  const onKey = (event: KeyboardEvent) => {
    const go = (at: number) => select(shown[Math.min(shown.length - 1, Math.max(0, at))] ?? null);
    switch (event.key) {
      case "ArrowDown":
      case "j":
        go(selectedAt + 1);
        break;
      case "ArrowUp":
      case "k":
        go(selectedAt - 1);
        break;
      case "ArrowLeft":
        if (selected && selected.descendants > 0 && !collapsed.has(selected.index)) toggle(selected.index);
        else if (selected && selected.parent >= 0) select(rows[selected.parent] ?? null);
        break;
      case "ArrowRight":
        if (selected && collapsed.has(selected.index)) toggle(selected.index);
        break;
      case "e":
        step(errors, 1);
        break;
      default:
        return;
    }
    event.preventDefault();
  };

  const marks = ticks(view[0], view[1], 6);
  const at = (nanos: number) => ((nanos - view[0]) / (view[1] - view[0])) * 100;
  const keyOf = useCallback((row: Row) => String(row.index), []);

  return (
    <div className="page fill trace-page">
      <PageHead
        title={
          <span className="trace-title">
            <Dot color={colors.get(root?.span.service ?? "") ?? ""} />
            {root?.span.service} <span className="muted">{root?.span.name}</span>
          </span>
        }
      >
        <Link to="/logs" params={logsOf(trace)} className="button button-plain">
          <Icon name="logs" /> Logs
        </Link>
      </PageHead>
      <div className="trace-facts">
        <span>
          <small>Trace</small>
          <code>{trace.id}</code>
          <CopyButton text={trace.id} />
        </span>
        <span>
          <small>Started</small>
          {formatDateTime(trace.startMs)}
        </span>
        <span>
          <small>Duration</small>
          <b>{formatNanos(trace.duration)}</b>
        </span>
        <span>
          <small>Spans</small>
          {plural(rows.length, "span")}
        </span>
        {errors.length > 0 && (
          <button type="button" className="tag tag-bad" onClick={() => step(errors, 1)} title="To the next error (e)">
            <Icon name="error" size={13} /> {plural(errors.length, "error")}
          </button>
        )}
      </div>
      <div className="trace-services">
        {shares.map((share) => (
          <button key={share.service} type="button" title={`Find ${share.service}`} onClick={() => setFind(share.service)}>
            <Dot color={colors.get(share.service) ?? ""} />
            {share.service}
            <small>{plural(share.spans, "span")}</small>
            <small>{formatPercent(share.selfTime / Math.max(1, shares.reduce((sum, one) => sum + one.selfTime, 0)))} of own time</small>
            {share.errors > 0 && <small className="bad">{plural(share.errors, "error")}</small>}
          </button>
        ))}
      </div>
      <div className={selected ? "trace-body with-panel" : "trace-body"}>
        <section className="card waterfall" aria-label="Waterfall">
          <div className="waterfall-bar">
            <div className="query-input small-input">
              <Icon name="search" size={14} />
              <input
                value={find}
                onChange={(event) => setFind(event.target.value)}
                onKeyDown={(event) => {
                  if (event.key === "Enter") {
                    step(
                      found.flatMap((index) => rows[index] ?? []),
                      event.shiftKey ? -1 : 1,
                    );
                  }
                }}
                placeholder="Find in trace (Enter: next)"
                aria-label="Find in trace"
                data-search
              />
            </div>
            {find && <span className="muted small">{plural(found.length, "match", "matches")}</span>}
            <span className="spacer" />
            {view[1] - view[0] < duration && (
              <Button small kind="ghost" onClick={() => setView([0, duration])}>
                Whole trace
              </Button>
            )}
            <Button small kind="ghost" onClick={() => setCollapsed(new Set())}>
              Open all
            </Button>
            <Button
              small
              kind="ghost"
              onClick={() => setCollapsed(new Set(rows.filter((row) => row.depth === 1 && row.descendants > 0).map((row) => row.index)))}
            >
              Close all
            </Button>
          </div>
          <div className="waterfall-head">
            <div className="wf-name" />
            <div className="wf-time">
              <Minimap rows={rows} duration={duration} colors={colors} window={view} onWindow={setView} />
              <div className="wf-ticks">
                {marks.map((mark) => (
                  <span key={mark} style={{ left: `${at(mark)}%` }}>
                    {formatNanos(mark)}
                  </span>
                ))}
              </div>
            </div>
          </div>
          <VirtualList
            items={shown}
            itemKey={keyOf}
            estimate={rowHeight}
            fixed
            scroller={list}
            label="Spans"
            onKeyDown={onKey}
            reveal={selectedAt}
            render={(row) => (
              <SpanRow
                row={row}
                color={colors.get(row.span.service) ?? ""}
                collapsed={collapsed.has(row.index)}
                selected={row === selected}
                dimmed={find !== "" && !foundSet.has(row.index)}
                marks={marks.map(at)}
                left={at(row.span.start)}
                width={(row.span.duration / (view[1] - view[0])) * 100}
                onToggle={toggle}
                onSelect={select}
              />
            )}
          />
        </section>
        {selected && (
          <SpanPanel row={selected} trace={trace} color={colors.get(selected.span.service) ?? ""} onClose={() => select(null)} />
        )}
      </div>
    </div>
  );
}

interface SpanRowProps {
  row: Row;
  color: string;
  collapsed: boolean;
  selected: boolean;
  dimmed: boolean;
  marks: number[];
  /** Percent of the shown stretch. */
  left: number;
  width: number;
  onToggle: (index: number) => void;
  onSelect: (row: Row) => void;
}

/** Deeper rows are not moved further right, or nothing of their names is left. */
const deepestIndent = 18;

function SpanRow({ row, color, collapsed, selected, dimmed, marks, left, width, onToggle, onSelect }: SpanRowProps) {
  const { span } = row;
  const indent = Math.min(row.depth, deepestIndent) * 14;
  const start = Math.max(0, left);
  const end = Math.min(100, left + width);
  const visible = end >= 0 && start <= 100;
  // The length stands after the bar, before it, or at its end, where there is room.
  const place = end <= 86 ? "after" : start >= 12 ? "before" : "inside";
  return (
    <div
      className={`wf-row ${selected ? "selected" : ""} ${dimmed ? "dimmed" : ""}`}
      onClick={() => onSelect(row)}
      data-span={span.id}
    >
      <div className="wf-name" style={{ paddingLeft: 8 + indent }}>
        {row.descendants > 0 ? (
          <button
            type="button"
            className="wf-fold"
            title={collapsed ? `Show ${plural(row.descendants, "span")}` : "Hide what is below"}
            onClick={(event) => {
              event.stopPropagation();
              onToggle(row.index);
            }}
          >
            <Icon name={collapsed ? "chevron" : "down"} size={11} />
          </button>
        ) : (
          <span className="wf-fold" />
        )}
        <span className="wf-mark" style={{ background: color }} />
        {span.error ? (
          <span className={row.errorOrigin ? "wf-error origin" : "wf-error"} title={row.errorOrigin ? "The error began here" : "Failed because of a span below"}>
            <Icon name="error" size={13} />
          </span>
        ) : (
          collapsed && row.errorBelow && (
            <span className="wf-error below" title="An error is hidden below">
              <Icon name="error" size={13} />
            </span>
          )
        )}
        <b>{span.service}</b>
        <span className="wf-op">{span.name}</span>
        {collapsed && <Tag>{row.descendants}</Tag>}
        {row.orphan && <Tag tone="warn">parent missing</Tag>}
      </div>
      <div className="wf-time">
        {marks.map((mark) => (
          <i key={mark} className="wf-grid" style={{ left: `${mark}%` }} />
        ))}
        {visible && (
          <>
            <span
              className={span.error ? "wf-bar error" : "wf-bar"}
              style={{ left: `min(${start}%, calc(100% - 3px))`, width: `max(2px, ${Math.max(0, end - start)}%)`, background: color }}
            />
            <span
              className={`wf-label ${place}`}
              style={
                place === "after"
                  ? { left: `calc(${Math.max(end, start)}% + 6px)` }
                  : { right: place === "before" ? `calc(${100 - start}% + 6px)` : `calc(${100 - end}% + 6px)` }
              }
            >
              {formatNanos(span.duration)}
            </span>
          </>
        )}
      </div>
    </div>
  );
}
