import { useRef, useState, type PointerEvent } from "react";
import { useSize } from "../hooks/useSize";
import { levels, type Level } from "../lib/colors";
import { formatCount, formatNumber } from "../lib/format";
import type { Bucket } from "../lib/histogram";
import { formatDateTime, timeTicks } from "../lib/time";

export const levelColor = (level: Level) => `var(--level-${level})`;

const height = 96;
const axisHeight = 18;
const axisWidth = 40;

/** Stacked bars of lines by level; dragging over it selects a time range. */
export function VolumeChart({
  buckets,
  stepMs,
  onZoom,
}: {
  buckets: Bucket[];
  stepMs: number;
  onZoom: (from: number, to: number) => void;
}) {
  const host = useRef<HTMLDivElement>(null);
  const { width } = useSize(host);
  const [hover, setHover] = useState(-1);
  const [drag, setDrag] = useState<{ from: number; to: number } | null>(null);
  const most = Math.max(2, ...buckets.map((bucket) => bucket.total));
  const plotWidth = Math.max(1, width - axisWidth);
  const slot = plotWidth / Math.max(1, buckets.length);
  const start = buckets[0]?.at ?? 0;
  const end = start + buckets.length * stepMs;
  const timeAt = (x: number) => start + (Math.min(Math.max(x - axisWidth, 0), plotWidth) / plotWidth) * (end - start);
  const xOf = (event: PointerEvent) => event.clientX - event.currentTarget.getBoundingClientRect().left;

  const hovered = buckets[hover];

  return (
    <div className="volume" ref={host}>
      <svg
        width={width}
        height={height + axisHeight}
        role="img"
        aria-label="Log volume over time"
        onPointerDown={(event) => {
          event.currentTarget.setPointerCapture(event.pointerId);
          setDrag({ from: xOf(event), to: xOf(event) });
        }}
        onPointerMove={(event) => {
          const x = xOf(event);
          setHover(x < axisWidth ? -1 : Math.floor((x - axisWidth) / slot));
          if (drag) setDrag({ ...drag, to: x });
        }}
        onPointerUp={() => {
          if (drag) {
            const from = Math.min(drag.from, drag.to);
            const to = Math.max(drag.from, drag.to);
            if (to - from > 4) onZoom(Math.floor(timeAt(from)), Math.ceil(timeAt(to)));
          }
          setDrag(null);
        }}
        onPointerLeave={() => setHover(-1)}
      >
        {[most, Math.floor(most / 2)].map((value) => {
          const y = height - (value / most) * (height - 8);
          return (
            <g key={value}>
              <line x1={axisWidth} x2={width} y1={y} y2={y} stroke="var(--grid)" />
              <text x={axisWidth - 6} y={y + 4} textAnchor="end" className="axis-text">
                {formatNumber(value)}
              </text>
            </g>
          );
        })}
        <line x1={axisWidth} x2={width} y1={height} y2={height} stroke="var(--border-strong)" />
        {buckets.map((bucket, i) => {
          let y = height;
          return (
            <g key={bucket.at} opacity={hover >= 0 && hover !== i ? 0.55 : 1}>
              {levels.toReversed().map((level) => {
                const count = bucket.counts[level] ?? 0;
                if (count === 0) return null;
                const tall = Math.max(1, (count / most) * (height - 8));
                y -= tall;
                return (
                  <rect
                    key={level}
                    x={axisWidth + i * slot + Math.min(0.75, slot * 0.1)}
                    y={y}
                    width={Math.max(1, slot - Math.min(1.5, slot * 0.2))}
                    height={tall}
                    fill={levelColor(level)}
                  />
                );
              })}
            </g>
          );
        })}
        {(end > start ? timeTicks({ from: start, to: end }, Math.floor(plotWidth / 110)) : []).map(({ at, label }) => (
          <text
            key={at}
            x={Math.min(axisWidth + ((at - start) / (end - start)) * plotWidth, width - 16)}
            y={height + 14}
            textAnchor="middle"
            className="axis-text"
          >
            {label}
          </text>
        ))}
        {drag && Math.abs(drag.to - drag.from) > 2 && (
          <rect
            x={Math.min(drag.from, drag.to)}
            width={Math.abs(drag.to - drag.from)}
            y={0}
            height={height}
            fill="var(--accent)"
            opacity={0.18}
          />
        )}
      </svg>
      {hovered && hovered.total > 0 && !drag && (
        <div
          className="chart-tooltip"
          style={
            hover * slot < plotWidth / 2
              ? { left: axisWidth + (hover + 1) * slot + 8, top: 4 }
              : { right: plotWidth - hover * slot + 8, top: 4 }
          }
        >
          <div className="chart-tooltip-time">{formatDateTime(hovered.at)}</div>
          {levels.map((level) =>
            hovered.counts[level] ? (
              <div key={level} className="chart-tooltip-row">
                <span className="dot" style={{ background: levelColor(level) }} />
                <span>{level}</span>
                <b>{formatCount(hovered.counts[level])}</b>
              </div>
            ) : null,
          )}
        </div>
      )}
    </div>
  );
}
