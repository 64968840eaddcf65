import { asArray, asLabels, asRecord, asString, asStrings } from "../lib/decode";
import type { Labels } from "../lib/format";
import type { MatrixSeries } from "../lib/matrix";
import type { Interval } from "../lib/time";
import { normalizeLevel, type Level } from "../lib/colors";
import { request } from "./http";
import { decodeSeries } from "./prometheus";

export interface LogRow {
  /** Stable over refreshes: time, stream and line. */
  key: string;
  /** Epoch nanoseconds as text; they do not fit a number. */
  nanos: string;
  ms: number;
  line: string;
  stream: Labels;
  /** Structured metadata: the record's fields that are not stream labels. */
  metadata: Labels;
  /** Fields that the query itself parsed out of the line. */
  parsed: Labels;
  level: Level;
  traceId: string;
  spanId: string;
}

/** Splits stream labels, structured metadata and parsed labels in answers. */
const categorize = { "X-Loki-Response-Encoding-Flags": "categorize-labels" };

export type LogAnswer = { kind: "streams"; rows: LogRow[] } | { kind: "matrix"; series: MatrixSeries[] };

const nanos = (ms: number) => `${BigInt(Math.round(ms * 1000)) * 1000n}`;

/** Lines, newest first, from start to end (epoch nanoseconds, end excluded). */
export async function queryLines(
  query: string,
  start: string,
  end: string,
  limit: number,
  signal?: AbortSignal,
): Promise<LogRow[]> {
  const answer = await request("/loki/api/v1/query_range", {
    params: { query, start, end, limit, direction: "backward" },
    headers: categorize,
    signal,
  });
  const decoded = decodeLogAnswer(answer);
  return decoded.kind === "streams" ? decoded.rows : [];
}

export async function queryMatrix(
  query: string,
  interval: Interval,
  stepMs: number,
  signal?: AbortSignal,
): Promise<MatrixSeries[]> {
  const answer = await request("/loki/api/v1/query_range", {
    params: { query, start: nanos(interval.from), end: nanos(interval.to), step: `${stepMs / 1000}s` },
    signal,
  });
  const decoded = decodeLogAnswer(answer);
  return decoded.kind === "matrix" ? decoded.series : [];
}

export function decodeLogAnswer(answer: unknown): LogAnswer {
  const data = asRecord(asRecord(answer).data);
  if (asString(data.resultType) === "matrix") {
    return { kind: "matrix", series: asArray(data.result).map(decodeSeries) };
  }
  const rows: LogRow[] = [];
  for (const item of asArray(data.result)) {
    const entry = asRecord(item);
    const stream = asLabels(entry.stream);
    for (const value of asArray(entry.values)) rows.push(decodeRow(stream, asArray(value)));
  }
  return { kind: "streams", rows: numberTwins(sortNewestFirst(rows)) };
}

/** Makes the keys of lines that are equal in everything differ. */
function numberTwins(rows: LogRow[]): LogRow[] {
  const seen = new Map<string, number>();
  for (const row of rows) {
    const count = seen.get(row.key) ?? 0;
    seen.set(row.key, count + 1);
    if (count > 0) row.key += `~${count}`;
  }
  return rows;
}

function decodeRow(stream: Labels, [time, text, extra]: unknown[]): LogRow {
  const categories = asRecord(extra);
  const metadata = asLabels(categories.structuredMetadata);
  const parsed = asLabels(categories.parsed);
  const nanosText = asString(time);
  const line = asString(text);
  const all = { ...stream, ...metadata, ...parsed };
  return {
    key: `${nanosText}|${Object.values(stream).join(",")}|${metadata.span_id ?? ""}|${line}`,
    nanos: nanosText,
    ms: Number(nanosText) / 1e6,
    line,
    stream,
    metadata,
    parsed,
    level: levelOf(all, line),
    traceId: traceIdOf(all, line),
    spanId: first(all, ["span_id", "spanid", "spanID", "spanId"]),
  };
}

function first(labels: Labels, keys: string[]): string {
  for (const key of keys) if (labels[key]) return labels[key];
  return "";
}

const levelKeys = ["detected_level", "level", "severity_text", "severity", "lvl", "loglevel"];

export function levelOf(labels: Labels, line: string): Level {
  for (const key of levelKeys) {
    const value = labels[key];
    if (value) {
      const level = normalizeLevel(value);
      if (level !== "unknown") return level;
    }
  }
  const found = /\b(?:level|lvl|severity)"?[=:]\s*"?([a-z]+)/i.exec(line);
  return found?.[1] ? normalizeLevel(found[1]) : "unknown";
}

export function traceIdOf(labels: Labels, line: string): string {
  const named = first(labels, ["trace_id", "traceid", "traceID", "traceId"]);
  if (/^[0-9a-f]{16,32}$/i.test(named) && !/^0+$/.test(named)) return named;
  const found = /\btrace_?id"?[=:]\s*"?([0-9a-f]{32})\b/i.exec(line);
  return found?.[1] ?? "";
}

/** Newest first; rows of one instant keep the order they came in. */
export function sortNewestFirst(rows: LogRow[]): LogRow[] {
  return rows.sort((a, b) =>
    a.nanos.length !== b.nanos.length ? b.nanos.length - a.nanos.length : a.nanos < b.nanos ? 1 : a.nanos > b.nanos ? -1 : 0,
  );
}

/** Appends a page of older rows, leaving out those already there. */
export function mergeRows(rows: LogRow[], older: LogRow[]): LogRow[] {
  const known = new Set(rows.map((row) => row.key));
  return [...rows, ...older.filter((row) => !known.has(row.key))];
}

export const toNanos = nanos;

/** The end to ask for so that rows of the oldest instant are not skipped. */
export function nextEnd(rows: LogRow[]): string {
  const oldest = rows.at(-1);
  return oldest ? `${BigInt(oldest.nanos) + 1n}` : "";
}

export async function labelNames(interval: Interval, signal?: AbortSignal): Promise<string[]> {
  const answer = await request("/loki/api/v1/labels", {
    params: { start: nanos(interval.from), end: nanos(interval.to) },
    signal,
  });
  return asStrings(asRecord(answer).data).filter((name) => name !== "__name__").sort();
}

export async function labelValues(name: string, interval: Interval, signal?: AbortSignal): Promise<string[]> {
  const answer = await request(`/loki/api/v1/label/${encodeURIComponent(name)}/values`, {
    params: { start: nanos(interval.from), end: nanos(interval.to) },
    signal,
  });
  return asStrings(asRecord(answer).data).sort();
}

/** A shape that many lines share: "<_>" stands where they differ. */
export interface LogPattern {
  pattern: string;
  level: Level;
  /** Lines a step, oldest first; steps without lines are zero. */
  counts: number[];
  total: number;
}

/** The patterns of a query's lines, the most frequent first. */
export async function logPatterns(query: string, interval: Interval, stepMs: number, signal?: AbortSignal): Promise<LogPattern[]> {
  const answer = await request("/loki/api/v1/patterns", {
    params: { query, start: nanos(interval.from), end: nanos(interval.to), step: `${stepMs / 1000}s` },
    signal,
  });
  return decodePatterns(answer, interval, stepMs);
}

export function decodePatterns(answer: unknown, interval: Interval, stepMs: number): LogPattern[] {
  const steps = Math.max(1, Math.ceil((interval.to - interval.from) / stepMs));
  const first = Math.floor(interval.from / stepMs);
  return asArray(asRecord(answer).data)
    .map((item) => {
      const { pattern, level, samples } = asRecord(item);
      const counts = Array.from({ length: steps }, () => 0);
      let total = 0;
      for (const sample of asArray(samples)) {
        const [seconds, count] = asArray(sample).map(Number);
        if (seconds === undefined || count === undefined) continue;
        total += count;
        const step = Math.min(steps - 1, Math.max(0, Math.floor((seconds * 1000) / stepMs) - first));
        counts[step] = (counts[step] ?? 0) + count;
      }
      return { pattern: asString(pattern), level: normalizeLevel(asString(level)), counts, total };
    })
    .filter((found) => found.total > 0)
    .sort((a, b) => b.total - a.total);
}
