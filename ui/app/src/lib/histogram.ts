import { levels, normalizeLevel, type Level } from "./colors";
import type { MatrixSeries } from "./matrix";

/** Lines in [at, at + step), by level. */
export interface Bucket {
  at: number;
  counts: Partial<Record<Level, number>>;
  total: number;
}

/**
 * Sums volume series into one bar a step. A count_over_time of one step at t
 * counts (t - step, t], so its bar stands at t - step.
 */
export function volumeBuckets(series: MatrixSeries[], fromMs: number, toMs: number, stepMs: number): Bucket[] {
  const count = Math.max(0, Math.ceil((toMs - fromMs) / stepMs));
  const buckets: Bucket[] = Array.from({ length: count }, (_, i) => ({ at: fromMs + i * stepMs, counts: {}, total: 0 }));
  for (const { labels, points } of series) {
    const level = normalizeLevel(labels.detected_level || labels.level || "");
    for (const [time, value] of points) {
      const bucket = buckets[Math.round((time * 1000 - stepMs - fromMs) / stepMs)];
      if (!bucket || !Number.isFinite(value)) continue;
      bucket.counts[level] = (bucket.counts[level] ?? 0) + value;
      bucket.total += value;
    }
  }
  return buckets;
}

export function totals(buckets: Bucket[]): { level: Level; count: number }[] {
  return levels
    .map((level) => ({ level, count: buckets.reduce((sum, bucket) => sum + (bucket.counts[level] ?? 0), 0) }))
    .filter(({ count }) => count > 0);
}
