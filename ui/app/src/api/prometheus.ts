import { asArray, asLabels, asNumber, asRecord, asString, asStrings, asTime } from "../lib/decode";
import type { Labels } from "../lib/format";
import type { MatrixSeries } from "../lib/matrix";
import { kindOfExpression, type RuleKind } from "../lib/kinds";
import type { Interval } from "../lib/time";
import { request } from "./http";

export interface InstantSample {
  labels: Labels;
  value: string;
  /** A native histogram's sample carries buckets instead of a value. */
  histogram: { count: string; sum: string } | null;
}

export interface QueryAnswer<T> {
  kind: string;
  result: T[];
  warnings: string[];
}

export interface Exemplar {
  labels: Labels;
  seriesLabels: Labels;
  value: number;
  /** Epoch seconds. */
  time: number;
}

export interface MetricMetadata {
  type: string;
  help: string;
  unit: string;
}

export interface RuleAlert {
  labels: Labels;
  annotations: Labels;
  state: string;
  activeAt: number;
  value: string;
}

export interface Rule {
  name: string;
  /** The store this rule asks. */
  kind: RuleKind;
  recording: boolean;
  query: string;
  durationSeconds: number;
  keepFiringForSeconds: number;
  labels: Labels;
  annotations: Labels;
  state: string;
  health: string;
  lastError: string;
  lastEvaluation: number;
  evaluationSeconds: number;
  alerts: RuleAlert[];
}

export interface RuleGroup {
  name: string;
  file: string;
  intervalSeconds: number;
  rules: Rule[];
}

const seconds = (ms: number) => (ms / 1000).toFixed(3);

export async function queryRange(
  query: string,
  interval: Interval,
  stepMs: number,
  signal?: AbortSignal,
): Promise<QueryAnswer<MatrixSeries>> {
  const answer = await request("/api/v1/query_range", {
    form: true,
    params: { query, start: seconds(interval.from), end: seconds(interval.to), step: stepMs / 1000 },
    signal,
  });
  return decodeMatrixAnswer(answer);
}

export function decodeMatrixAnswer(answer: unknown): QueryAnswer<MatrixSeries> {
  const body = asRecord(answer);
  const data = asRecord(body.data);
  return {
    kind: asString(data.resultType),
    result: asArray(data.result).map(decodeSeries),
    warnings: [...asStrings(body.warnings), ...asStrings(body.infos)],
  };
}

export function decodeSeries(value: unknown): MatrixSeries {
  const series = asRecord(value);
  const points = asArray(series.values).map((pair): [number, number] => {
    const [time, text] = asArray(pair);
    return [asNumber(time), asNumber(text)];
  });
  // A native histogram is drawn by its count; quantiles need histogram_quantile.
  const histograms = asArray(series.histograms).map((pair): [number, number] => {
    const [time, histogram] = asArray(pair);
    return [asNumber(time), asNumber(asRecord(histogram).count)];
  });
  return { labels: asLabels(series.metric), points: points.length > 0 ? points : histograms };
}

export async function queryInstant(
  query: string,
  timeMs: number,
  signal?: AbortSignal,
): Promise<QueryAnswer<InstantSample>> {
  const answer = await request("/api/v1/query", { form: true, params: { query, time: seconds(timeMs) }, signal });
  return decodeInstantAnswer(answer);
}

export function decodeInstantAnswer(answer: unknown): QueryAnswer<InstantSample> {
  const body = asRecord(answer);
  const data = asRecord(body.data);
  const kind = asString(data.resultType);
  const rows =
    kind === "scalar" || kind === "string"
      ? [{ metric: {}, value: data.result }]
      : asArray(data.result).map((item) => asRecord(item));
  return {
    kind,
    result: rows.map((row) => {
      const values = asArray((row as { values?: unknown }).values);
      const pair = asArray(row.value ?? values.at(-1));
      const histogram = asRecord(asArray((row as { histogram?: unknown }).histogram)[1]);
      return {
        labels: asLabels(row.metric),
        value: asString(pair[1]),
        histogram: "count" in histogram ? { count: asString(histogram.count), sum: asString(histogram.sum) } : null,
      };
    }),
    warnings: [...asStrings(body.warnings), ...asStrings(body.infos)],
  };
}

export async function queryExemplars(query: string, interval: Interval, signal?: AbortSignal): Promise<Exemplar[]> {
  const answer = await request("/api/v1/query_exemplars", {
    form: true,
    params: { query, start: seconds(interval.from), end: seconds(interval.to) },
    signal,
  });
  return asArray(asRecord(answer).data).flatMap((item) => {
    const series = asRecord(item);
    const seriesLabels = asLabels(series.seriesLabels);
    return asArray(series.exemplars).map((entry) => {
      const exemplar = asRecord(entry);
      return {
        labels: asLabels(exemplar.labels),
        seriesLabels,
        value: asNumber(exemplar.value),
        time: asNumber(exemplar.timestamp),
      };
    });
  });
}

export async function labelValues(label: string, interval: Interval, signal?: AbortSignal): Promise<string[]> {
  const answer = await request(`/api/v1/label/${encodeURIComponent(label)}/values`, {
    params: { start: seconds(interval.from), end: seconds(interval.to) },
    signal,
  });
  return asStrings(asRecord(answer).data);
}

export async function metricMetadata(signal?: AbortSignal): Promise<Map<string, MetricMetadata>> {
  const answer = await request("/api/v1/metadata", { params: { limit_per_metric: 1 }, signal });
  const metadata = new Map<string, MetricMetadata>();
  for (const [name, entries] of Object.entries(asRecord(asRecord(answer).data))) {
    const first = asRecord(asArray(entries)[0]);
    metadata.set(name, { type: asString(first.type), help: asString(first.help), unit: asString(first.unit) });
  }
  return metadata;
}

export async function rules(signal?: AbortSignal): Promise<RuleGroup[]> {
  return decodeRules(await request("/api/v1/rules", { signal }));
}

export function decodeRules(answer: unknown): RuleGroup[] {
  return asArray(asRecord(asRecord(answer).data).groups).map((item) => {
    const group = asRecord(item);
    const list = asArray(group.rules).map(asRecord);
    return {
      name: asString(group.name),
      file: asString(group.file),
      intervalSeconds: asNumber(group.interval),
      rules: list.map((rule) => ({
        name: asString(rule.name),
        kind: ruleKind(rule) ?? ruleKind(group) ?? kindOfExpression(asString(rule.query)),
        recording: rule.type === "recording",
        query: asString(rule.query),
        durationSeconds: asNumber(rule.duration) || 0,
        keepFiringForSeconds: asNumber(rule.keepFiringFor) || 0,
        labels: asLabels(rule.labels),
        annotations: asLabels(rule.annotations),
        state: asString(rule.state) || "inactive",
        health: asString(rule.health),
        lastError: asString(rule.lastError),
        lastEvaluation: asTime(rule.lastEvaluation),
        evaluationSeconds: asNumber(rule.evaluationTime),
        alerts: asArray(rule.alerts).map((entry) => {
          const alert = asRecord(entry);
          return {
            labels: asLabels(alert.labels),
            annotations: asLabels(alert.annotations),
            state: asString(alert.state),
            activeAt: asTime(alert.activeAt),
            value: asString(alert.value),
          };
        }),
      })),
    };
  });
}

/** Which store a group or rule asks; Belfry adds the field to Prometheus' form. */
function ruleKind(fields: Record<string, unknown>): RuleKind | null {
  for (const key of ["signal", "source", "groupType", "group_type", "datasourceType", "type"]) {
    const value = asString(fields[key]);
    if (value === "metrics" || value === "logs" || value === "traces") return value;
  }
  return null;
}
