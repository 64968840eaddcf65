import type { Labels } from "./format";

/** A series of a range query: [epoch seconds, value] pairs in order of time. */
export interface MatrixSeries {
  labels: Labels;
  points: [number, number][];
}

/** Columns for a chart: one shared axis in seconds, null where a series has no point. */
export interface Aligned {
  xs: number[];
  ys: (number | null)[][];
}

/**
 * Puts series on one axis of every step from first to last. A gap stays a gap:
 * nothing is interpolated. Points off the grid go to the nearest step.
 */
export function alignMatrix(series: MatrixSeries[], fromMs: number, toMs: number, stepMs: number): Aligned {
  const step = stepMs / 1000;
  const from = fromMs / 1000;
  const count = Math.max(0, Math.floor((toMs - fromMs) / stepMs) + 1);
  const xs = Array.from({ length: count }, (_, i) => from + i * step);
  const ys = series.map(({ points }) => {
    const column: (number | null)[] = Array.from({ length: count }, () => null);
    for (const [time, value] of points) {
      const slot = Math.round((time - from) / step);
      if (slot >= 0 && slot < count && Number.isFinite(value)) column[slot] = value;
    }
    return column;
  });
  return { xs, ys };
}

export interface Summary {
  min: number;
  max: number;
  mean: number;
  last: number;
}

export function summarize(points: [number, number][]): Summary {
  const values = points.map(([, value]) => value).filter(Number.isFinite);
  if (values.length === 0) return { min: NaN, max: NaN, mean: NaN, last: NaN };
  let min = Infinity;
  let max = -Infinity;
  let sum = 0;
  for (const value of values) {
    min = Math.min(min, value);
    max = Math.max(max, value);
    sum += value;
  }
  return { min, max, mean: sum / values.length, last: values.at(-1) ?? NaN };
}

/** The labels that every series has with one value; they say nothing in a legend. */
export function commonLabels(all: Labels[]): Labels {
  const [first, ...rest] = all;
  if (!first || rest.length === 0) return {};
  return Object.fromEntries(Object.entries(first).filter(([key, value]) => rest.every((labels) => labels[key] === value)));
}

/** A series' name for a legend: what tells it from the others. */
export function shortName(labels: Labels, common: Labels): string {
  const own = Object.entries(labels).filter(([key]) => !(key in common));
  if (own.length === 0) return labels.__name__ ?? "value";
  const name = own.find(([key]) => key === "__name__")?.[1] ?? "";
  const pairs = own
    .filter(([key]) => key !== "__name__")
    .sort(([a], [b]) => a.localeCompare(b))
    .map(([key, value]) => `${key}="${value}"`);
  return pairs.length === 0 ? name : `${name}{${pairs.join(", ")}}`;
}
