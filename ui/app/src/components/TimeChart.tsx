import { useEffect, useRef, useState } from "react";
import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";
import { useTheme } from "../hooks/useTheme";
import { useSize } from "../hooks/useSize";
import { formatNumber } from "../lib/format";
import type { Aligned } from "../lib/matrix";
import { formatClock, formatDate, formatDateTime } from "../lib/time";

export interface ChartSeries {
  name: string;
  color: string;
  hidden: boolean;
}

export interface ChartPoint {
  /** Epoch seconds. */
  time: number;
  value: number;
  label: string;
  id: string;
}

interface Props {
  series: ChartSeries[];
  data: Aligned;
  height: number;
  /** Marks that can be clicked, such as exemplars. */
  points?: ChartPoint[];
  onPoint?: (point: ChartPoint) => void;
  /** A stretch was selected with the mouse; epoch milliseconds. */
  onZoom?: (from: number, to: number) => void;
  format?: (value: number) => string;
}

interface Hover {
  left: number;
  top: number;
  time: number;
  rows: { name: string; color: string; value: number }[];
  more: number;
  point: ChartPoint | null;
}

const hoverRows = 12;
/** Pixels around a mark in which the mouse counts as on it. */
const reach = 9;

/** Room above and below lines and marks; from zero where that does not hide the shape. */
function valueRange(dataLow: number | null, dataHigh: number | null, points: ChartPoint[]): uPlot.Range.MinMax {
  if (dataLow === null || dataHigh === null) return [0, 1];
  let low = dataLow;
  let high = dataHigh;
  for (const { value } of points) {
    low = Math.min(low, value);
    high = Math.max(high, value);
  }
  if (low === high) return low === 0 ? [0, 1] : low > 0 ? [0, low * 2] : [low * 2, 0];
  const bottom = low >= 0 && low < high / 2 ? 0 : low;
  return uPlot.rangeNum(bottom, high, 0.1, true);
}

/** 24-hour times; seconds where ticks are closer than a minute, dates at midnight and over days. */
function timeLabels(_plot: uPlot, splits: number[], _axis: number, _space: number, step: number): string[] {
  return splits.map((at) => {
    const ms = at * 1000;
    const clock = formatClock(ms);
    if (step >= 86_400 || clock === "00:00:00") return formatDate(ms).slice(5);
    return step < 60 ? clock : clock.slice(0, 5);
  });
}

/** A design variable as a plain colour, which a canvas needs. */
function resolveColor(element: HTMLElement, variable: string): string {
  const probe = document.createElement("span");
  probe.style.color = `var(${variable})`;
  element.append(probe);
  const color = getComputedStyle(probe).color;
  probe.remove();
  return color;
}

export default function TimeChart({ series, data, height, points = [], onPoint, onZoom, format = formatNumber }: Props) {
  const host = useRef<HTMLDivElement>(null);
  const chart = useRef<uPlot | null>(null);
  const { width } = useSize(host);
  const { dark } = useTheme();
  const [hover, setHover] = useState<Hover | null>(null);
  const live = useRef({ points, onPoint, onZoom, format, series });
  useEffect(() => {
    live.current = { points, onPoint, onZoom, format, series };
  });

  const shape = JSON.stringify([series.map(({ name, color }) => [name, color]), dark, width > 0, height]);

  useEffect(() => {
    const element = host.current;
    if (!element || element.clientWidth === 0) return;
    const text = resolveColor(element, "--text-muted");
    const grid = resolveColor(element, "--grid");
    const mark = resolveColor(element, "--accent");
    const font = `11px ${getComputedStyle(element).fontFamily}`;
    const nearest = (plot: uPlot): ChartPoint | null => {
      const { left = -1, top = -1 } = plot.cursor;
      let best: ChartPoint | null = null;
      let least = reach;
      for (const point of live.current.points) {
        const away = Math.hypot(plot.valToPos(point.time, "x") - left, plot.valToPos(point.value, "y") - top);
        if (away < least) {
          least = away;
          best = point;
        }
      }
      return best;
    };
    const axis = { stroke: text, font, grid: { stroke: grid, width: 1 }, ticks: { stroke: grid, width: 1, size: 4 } };
    const plot = new uPlot(
      {
        width: element.clientWidth,
        height,
        legend: { show: false },
        padding: [12, 12, 0, 0],
        cursor: {
          drag: { x: true, y: false, setScale: false },
          points: { size: 7 },
        },
        scales: { x: { time: true }, y: { range: (_plot, low, high) => valueRange(low, high, live.current.points) } },
        axes: [
          { ...axis, space: 80, size: 32, values: timeLabels },
          {
            ...axis,
            values: (_plot, values) => values.map((value) => live.current.format(value)),
            size: (_plot, values) => Math.max(44, 16 + 7 * Math.max(0, ...(values ?? []).map((value) => value.length))),
          },
        ],
        series: [
          {},
          ...live.current.series.map((one) => ({
            label: one.name,
            stroke: one.color,
            width: 1.6,
            show: !one.hidden,
            spanGaps: false,
            points: { size: 5 },
          })) as uPlot.Series[],
        ],
        hooks: {
          setSelect: [
            (self) => {
              if (self.select.width < 4) return;
              const from = self.posToVal(self.select.left, "x") * 1000;
              const to = self.posToVal(self.select.left + self.select.width, "x") * 1000;
              self.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
              if (to - from > 1000) live.current.onZoom?.(Math.round(from), Math.round(to));
            },
          ],
          setCursor: [
            (self) => {
              const { idx, left = -1, top = 0 } = self.cursor;
              if (idx === null || idx === undefined || left < 0) {
                setHover(null);
                return;
              }
              const rows = live.current.series.flatMap((one, i) => {
                const value = self.data[i + 1]?.[idx];
                return one.hidden || value === null || value === undefined
                  ? []
                  : [{ name: one.name, color: one.color, value }];
              });
              const point = nearest(self);
              self.over.style.cursor = point ? "pointer" : "crosshair";
              // The lines nearest to the mouse come first when there are many.
              const at = self.posToVal(top, "y");
              if (rows.length > hoverRows) rows.sort((a, b) => Math.abs(a.value - at) - Math.abs(b.value - at));
              const kept = rows.slice(0, hoverRows).sort((a, b) => b.value - a.value);
              setHover({
                left: left + self.bbox.left / devicePixelRatio,
                top,
                time: (self.data[0][idx] ?? 0) * 1000,
                rows: kept,
                more: rows.length - kept.length,
                point,
              });
            },
          ],
          draw: [
            (self) => {
              const { ctx } = self;
              ctx.save();
              ctx.fillStyle = mark;
              const size = 3.5 * devicePixelRatio;
              for (const point of live.current.points) {
                const x = self.valToPos(point.time, "x", true);
                const y = self.valToPos(point.value, "y", true);
                const { left, top, width: w, height: h } = self.bbox;
                if (x < left || x > left + w || y < top || y > top + h) continue;
                ctx.beginPath();
                ctx.moveTo(x, y - size);
                ctx.lineTo(x + size, y);
                ctx.lineTo(x, y + size);
                ctx.lineTo(x - size, y);
                ctx.closePath();
                ctx.fill();
              }
              ctx.restore();
            },
          ],
        },
      },
      [data.xs, ...data.ys] as uPlot.AlignedData,
      element,
    );
    plot.over.addEventListener("click", () => {
      const point = nearest(plot);
      if (point) live.current.onPoint?.(point);
    });
    chart.current = plot;
    return () => {
      plot.destroy();
      chart.current = null;
      setHover(null);
    };
    // Data, size and visibility are set below without building the chart anew.
    // oxlint-disable-next-line react/exhaustive-deps
  }, [shape]);

  useEffect(() => {
    // Also for new marks: the value axis makes room for them.
    chart.current?.setData([data.xs, ...data.ys] as uPlot.AlignedData);
  }, [data, shape, points]);

  useEffect(() => {
    if (width > 0) chart.current?.setSize({ width, height });
  }, [width, height, shape]);

  useEffect(() => {
    const plot = chart.current;
    if (!plot) return;
    series.forEach((one, i) => {
      if (plot.series[i + 1]?.show === one.hidden) plot.setSeries(i + 1, { show: !one.hidden });
    });
  }, [series, shape]);

  return (
    <div className="chart" ref={host} style={{ height }} data-series={series.length}>
      {hover && <ChartTooltip hover={hover} width={width} format={format} />}
    </div>
  );
}

function ChartTooltip({ hover, width, format }: { hover: Hover; width: number; format: (value: number) => string }) {
  const onRight = hover.left < width / 2;
  return (
    <div
      className="chart-tooltip"
      style={onRight ? { left: hover.left + 14, top: 8 } : { right: width - hover.left + 14, top: 8 }}
    >
      <div className="chart-tooltip-time">{formatDateTime(hover.time)}</div>
      {hover.rows.map((row) => (
        <div key={row.name} className="chart-tooltip-row">
          <span className="dot" style={{ background: row.color }} />
          <span className="chart-tooltip-name">{row.name}</span>
          <b>{format(row.value)}</b>
        </div>
      ))}
      {hover.more > 0 && <div className="muted">and {hover.more} more</div>}
      {hover.point && (
        <div className="chart-tooltip-point">
          ◆ {format(hover.point.value)} at {formatClock(hover.point.time * 1000)}: {hover.point.label}
        </div>
      )}
    </div>
  );
}
