import type { Interval } from "../lib/time";
import { labelValues, queryInstant, queryRange } from "./prometheus";

/** Rate, errors and duration of one service. */
export interface ServiceHealth {
  service: string;
  /** Requests a second; null where nothing measures them. */
  rate: number | null;
  /** Failed share of the requests, 0 to 1. */
  errors: number | null;
  /** 95th percentile in seconds. */
  p95: number | null;
  /** Rate over time, for a small line. */
  trend: number[];
  /** Metric the figures come from. */
  source: string;
}

interface Source {
  /** A counter of requests. */
  calls: string;
  /** Selects the failed ones. */
  failed: string;
  /** The base name of a histogram, and seconds in its unit. */
  buckets: string;
  unit: number;
  /** Restricts the counter to what a service serves. */
  serving: string;
  label: string;
}

/**
 * Where the figures can come from, best first: metrics made from spans, then
 * what OpenTelemetry's and Prometheus' HTTP instrumentation says.
 */
const sources: Source[] = [
  {
    calls: "traces_spanmetrics_calls_total",
    failed: 'status_code="STATUS_CODE_ERROR"',
    buckets: "traces_spanmetrics_latency_bucket",
    unit: 1,
    serving: 'span_kind=~"SPAN_KIND_SERVER|SPAN_KIND_CONSUMER"',
    label: "service",
  },
  {
    calls: "traces_span_metrics_calls_total",
    failed: 'status_code="STATUS_CODE_ERROR"',
    buckets: "traces_span_metrics_duration_milliseconds_bucket",
    unit: 0.001,
    serving: 'span_kind=~"SPAN_KIND_SERVER|SPAN_KIND_CONSUMER"',
    label: "service_name",
  },
  {
    calls: "http_server_request_duration_seconds_count",
    failed: 'http_response_status_code=~"5.."',
    buckets: "http_server_request_duration_seconds_bucket",
    unit: 1,
    serving: "",
    label: "service_name",
  },
  {
    calls: "http_server_duration_milliseconds_count",
    failed: 'http_status_code=~"5.."',
    buckets: "http_server_duration_milliseconds_bucket",
    unit: 0.001,
    serving: "",
    label: "service_name",
  },
  {
    calls: "belfry_http_request_duration_seconds_count",
    failed: 'code=~"5.."',
    buckets: "belfry_http_request_duration_seconds_bucket",
    unit: 1,
    serving: "",
    label: "service_name",
  },
  {
    calls: "rpc_server_duration_milliseconds_count",
    failed: 'rpc_grpc_status_code!="0"',
    buckets: "rpc_server_duration_milliseconds_bucket",
    unit: 0.001,
    serving: "",
    label: "service_name",
  },
];

const selector = (name: string, ...matchers: string[]) => `${name}{${matchers.filter(Boolean).join(", ")}}`;

/** The health of every service that has metrics of its requests. */
export async function serviceHealth(interval: Interval, stepMs: number, signal?: AbortSignal): Promise<ServiceHealth[]> {
  const names = new Set(await labelValues("__name__", interval, signal));
  const present = sources.filter((source) => names.has(source.calls));
  const lists = await Promise.all(present.map((source) => healthFrom(source, interval, stepMs, signal)));
  return mergeHealth(lists);
}

/** One row a service; the first source that knows a service has the say. */
export function mergeHealth(lists: ServiceHealth[][]): ServiceHealth[] {
  const merged = new Map<string, ServiceHealth>();
  for (const health of lists.flat()) {
    if (!merged.has(health.service)) merged.set(health.service, health);
  }
  return [...merged.values()].sort((a, b) => a.service.localeCompare(b.service));
}

async function healthFrom(source: Source, interval: Interval, stepMs: number, signal?: AbortSignal): Promise<ServiceHealth[]> {
  const { calls, failed, buckets, serving, label } = source;
  const rate = `sum by (${label}) (rate(${selector(calls, serving)}[5m]))`;
  const [now, bad, slow, trend] = await Promise.all([
    queryInstant(rate, interval.to, signal),
    queryInstant(`sum by (${label}) (rate(${selector(calls, serving, failed)}[5m]))`, interval.to, signal),
    queryInstant(
      `histogram_quantile(0.95, sum by (le, ${label}) (rate(${selector(buckets, serving)}[5m])))`,
      interval.to,
      signal,
    ),
    queryRange(rate, interval, stepMs, signal),
  ]);
  const valueOf = (answer: typeof now, service: string) => {
    const sample = answer.result.find((one) => one.labels[label] === service);
    const value = Number(sample?.value ?? NaN);
    return Number.isFinite(value) ? value : null;
  };
  return trend.result.flatMap((series) => {
    const service = series.labels[label];
    if (!service) return [];
    const total = valueOf(now, service);
    const p95 = valueOf(slow, service);
    return [
      {
        service,
        rate: total,
        errors: total ? (valueOf(bad, service) ?? 0) / total : null,
        p95: p95 === null ? null : p95 * source.unit,
        trend: series.points.map(([, value]) => value),
        source: calls,
      },
    ];
  });
}

/** What Belfry takes in a second, by signal, from its own metrics. */
export interface IngestRate {
  signal: string;
  accepted: number;
  rejected: number;
  trend: number[];
}

export async function ingestRates(interval: Interval, stepMs: number, signal?: AbortSignal): Promise<IngestRate[]> {
  const answer = await queryRange(
    "sum by (signal, result) (rate(belfry_collector_records_total[2m]))",
    interval,
    stepMs,
    signal,
  );
  const rates = new Map<string, IngestRate>();
  for (const series of answer.result) {
    const name = series.labels.signal ?? "";
    const entry = rates.get(name) ?? { signal: name, accepted: 0, rejected: 0, trend: [] };
    const last = series.points.at(-1)?.[1] ?? 0;
    if (series.labels.result === "rejected") entry.rejected = last;
    else {
      entry.accepted = last;
      entry.trend = series.points.map(([, value]) => value);
    }
    rates.set(name, entry);
  }
  const order = ["metrics", "logs", "traces"];
  return [...rates.values()].sort((a, b) => order.indexOf(a.signal) - order.indexOf(b.signal));
}
