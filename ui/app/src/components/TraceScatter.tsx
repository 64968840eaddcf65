import { useMemo, useRef, useState, type PointerEvent } from "react";
import type { TraceSummary } from "../api/traces";
import { useSize } from "../hooks/useSize";
import { formatMillis } from "../lib/format";
import { formatClock, timeTicks, type Interval } from "../lib/time";

const height = 150;
const left = 58;
const bottom = 20;
/** Searches round to milliseconds; shorter traces stand here, as zero has no logarithm. */
const shortest = 1;

/** Each trace as a dot: when it started, how long it took (logarithmic), whether it failed. */
export function TraceScatter({
  traces,
  interval,
  onOpen,
  onZoom,
}: {
  traces: TraceSummary[];
  interval: Interval;
  onOpen: (id: string) => void;
  onZoom: (from: number, to: number) => void;
}) {
  const host = useRef<HTMLDivElement>(null);
  const { width } = useSize(host);
  const [hover, setHover] = useState<TraceSummary | null>(null);
  const [drag, setDrag] = useState<{ from: number; to: number } | null>(null);
  const { low, high } = useMemo(() => {
    const lengths = traces.map((trace) => Math.max(shortest, trace.durationMs));
    return {
      low: 10 ** Math.floor(Math.log10(Math.min(...lengths, 10)) - 0.01),
      high: 10 ** Math.ceil(Math.log10(Math.max(...lengths, 10) * 1.05)),
    };
  }, [traces]);
  const plotWidth = Math.max(1, width - left - 8);
  const x = (ms: number) => left + ((ms - interval.from) / (interval.to - interval.from)) * plotWidth;
  const y = (ms: number) =>
    height - bottom - (Math.log10(Math.max(shortest, ms) / low) / Math.log10(high / low)) * (height - bottom - 10);
  const decades: number[] = [];
  for (let at = Math.max(low, shortest); at <= high * 1.001; at *= 10) decades.push(at);
  const timeAt = (px: number) => interval.from + ((px - left) / plotWidth) * (interval.to - interval.from);
  const xOf = (event: PointerEvent) => event.clientX - event.currentTarget.getBoundingClientRect().left;

  return (
    <div className="scatter" ref={host}>
      <svg
        width={width}
        height={height}
        role="img"
        aria-label="Traces by time and duration"
        onPointerDown={(event) => setDrag({ from: xOf(event), to: xOf(event) })}
        onPointerMove={(event) => drag && setDrag({ ...drag, to: xOf(event) })}
        onPointerUp={() => {
          if (drag && Math.abs(drag.to - drag.from) > 5) {
            onZoom(Math.floor(timeAt(Math.min(drag.from, drag.to))), Math.ceil(timeAt(Math.max(drag.from, drag.to))));
          }
          setDrag(null);
        }}
        onPointerLeave={() => setDrag(null)}
      >
        {decades.map((at) => (
          <g key={at}>
            <line x1={left} x2={width - 8} y1={y(at)} y2={y(at)} stroke="var(--grid)" />
            <text x={left - 8} y={y(at) + 4} textAnchor="end" className="axis-text">
              {formatMillis(at)}
            </text>
          </g>
        ))}
        {timeTicks(interval, Math.floor(plotWidth / 110)).map(({ at, label }) => (
          <text key={at} x={x(at)} y={height - 4} textAnchor="middle" className="axis-text">
            {label}
          </text>
        ))}
        {traces.map((trace) => {
          const failed = trace.services.some((service) => service.errors > 0);
          return (
            <circle
              key={trace.id}
              cx={x(trace.startMs)}
              cy={y(trace.durationMs)}
              r={hover?.id === trace.id ? 6.5 : 4.5}
              fill={failed ? "var(--bad)" : "var(--accent)"}
              fillOpacity={hover?.id === trace.id ? 1 : 0.6}
              className="scatter-dot"
              onPointerEnter={() => setHover(trace)}
              onPointerLeave={() => setHover(null)}
              onClick={() => onOpen(trace.id)}
            />
          );
        })}
        {drag && (
          <rect
            x={Math.min(drag.from, drag.to)}
            y={0}
            width={Math.abs(drag.to - drag.from)}
            height={height - bottom}
            fill="var(--accent)"
            opacity={0.16}
            pointerEvents="none"
          />
        )}
      </svg>
      {hover && (
        <div
          className="chart-tooltip"
          style={
            x(hover.startMs) < width / 2
              ? { left: x(hover.startMs) + 14, top: 6 }
              : { right: width - x(hover.startMs) + 14, top: 6 }
          }
        >
          <div className="chart-tooltip-time">{formatClock(hover.startMs, true)}</div>
          <b>{hover.rootService || "root not seen yet"}</b> {hover.rootName}
          <div>{formatMillis(hover.durationMs)}</div>
        </div>
      )}
    </div>
  );
}
