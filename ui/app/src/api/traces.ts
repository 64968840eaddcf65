import { asArray, asNumber, asRecord, asString, asStrings } from "../lib/decode";
import type { Interval } from "../lib/time";
import { decodeTrace, type Trace } from "../lib/trace";
import { request } from "./http";

export interface ServiceStats {
  service: string;
  spans: number;
  errors: number;
}

export interface TraceSummary {
  id: string;
  rootService: string;
  rootName: string;
  startMs: number;
  durationMs: number;
  services: ServiceStats[];
  /** Spans that the query matched. */
  matched: number;
}

const seconds = (ms: number) => Math.floor(ms / 1000);

export async function searchTraces(
  query: string,
  interval: Interval,
  limit: number,
  signal?: AbortSignal,
): Promise<TraceSummary[]> {
  const answer = await request("/tempo/api/search", {
    params: { q: query, start: seconds(interval.from), end: seconds(interval.to) + 1, limit, spss: 3 },
    signal,
  });
  return decodeSearch(answer);
}

export function decodeSearch(answer: unknown): TraceSummary[] {
  return asArray(asRecord(answer).traces)
    .map((item) => {
      const trace = asRecord(item);
      const sets = asArray(trace.spanSets ?? (trace.spanSet ? [trace.spanSet] : [])).map(asRecord);
      return {
        // Tempo leaves out leading zeros in older answers; ids have 32 digits.
        id: asString(trace.traceID).padStart(32, "0"),
        rootService: asString(trace.rootServiceName),
        rootName: asString(trace.rootTraceName),
        startMs: asNumber(trace.startTimeUnixNano) / 1e6,
        durationMs: asNumber(trace.durationMs) || 0,
        services: Object.entries(asRecord(trace.serviceStats)).map(([service, stats]) => ({
          service,
          spans: asNumber(asRecord(stats).spanCount) || 0,
          errors: asNumber(asRecord(stats).errorCount) || 0,
        })),
        matched: sets.reduce((sum, set) => sum + (asNumber(set.matched) || asArray(set.spans).length), 0),
      };
    })
    .sort((a, b) => b.startMs - a.startMs);
}

export async function fetchTrace(id: string, signal?: AbortSignal): Promise<Trace> {
  return decodeTrace(id, await request(`/tempo/api/v2/traces/${encodeURIComponent(id)}`, { signal }));
}

export async function services(signal?: AbortSignal): Promise<string[]> {
  return asStrings(asRecord(await request("/jaeger/api/services", { signal })).data).sort();
}

export async function operations(service: string, signal?: AbortSignal): Promise<string[]> {
  const answer = await request(`/jaeger/api/services/${encodeURIComponent(service)}/operations`, { signal });
  return asStrings(asRecord(answer).data).sort();
}

/** Attribute names with their scope, e.g. "span.http.route". */
export async function tagNames(signal?: AbortSignal): Promise<string[]> {
  const answer = await request("/tempo/api/v2/search/tags", { signal });
  return asArray(asRecord(answer).scopes).flatMap((item) => {
    const scope = asRecord(item);
    const name = asString(scope.name);
    if (name === "intrinsic") return [];
    return asStrings(scope.tags).map((tag) => `${name}.${tag}`);
  });
}
