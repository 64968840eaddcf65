import type { Labels } from "./format";
import { kindOfExpression, type RuleKind } from "./kinds";
import { addStreamMatcher, linesBehind, spansBehind } from "./logql";
import type { ParamValues } from "./urlstate";

export interface Target {
  kind: RuleKind;
  label: string;
  path: string;
  params: ParamValues;
}

/**
 * Strips the threshold from an alert's expression, so that the chart shows the
 * value on both sides of it: "rate(x[5m]) > 3" becomes "rate(x[5m])". Only a
 * comparison with a number at the end is taken off.
 */
export function withoutThreshold(expr: string): string {
  return expr.replace(/\s*(==|!=|>=|<=|>|<)\s*(bool\s+)?-?\d+(\.\d+)?(e[+-]?\d+)?\s*$/i, "");
}

/** Epoch milliseconds around an alert: some time before it began up to now or its end. */
export function rangeAround(startMs: number, endMs: number, now: number): { from: string; to: string } {
  const before = 30 * 60_000;
  const from = Number.isFinite(startMs) ? startMs - before : now - 2 * before;
  const to = Number.isFinite(endMs) && endMs > 0 && endMs < now ? endMs + before / 3 : now;
  return to === now ? { from: String(Math.floor(from)), to: "now" } : { from: String(Math.floor(from)), to: String(Math.ceil(to)) };
}

/**
 * Where to look at what an alert is about: its expression on the page of its
 * signal first, then the logs and traces of its service.
 */
export function targetsFor(
  alert: { expr: string; kind: RuleKind | null; labels: Labels; startsAt: number; endsAt: number },
  now: number,
): Target[] {
  const range = rangeAround(alert.startsAt, alert.endsAt, now);
  const targets: Target[] = [];
  const kind = alert.kind ?? kindOfExpression(alert.expr);
  const expr = withoutThreshold(alert.expr);
  if (alert.expr) {
    if (kind === "metrics") targets.push({ kind, label: "Metric", path: "/explore/metrics", params: { expr: [expr], ...range } });
    if (kind === "logs") {
      targets.push({ kind, label: "Count", path: "/logs", params: { q: expr, ...range } });
      const lines = linesBehind(expr);
      if (lines) targets.push({ kind, label: "Lines", path: "/logs", params: { q: narrow(lines, alert.labels), ...range } });
    }
    if (kind === "traces") {
      const spans = spansBehind(expr);
      if (spans) targets.push({ kind, label: "Traces", path: "/traces", params: { q: spans, ...range } });
    }
  }
  const service = alert.labels.service_name ?? alert.labels.service ?? "";
  if (service) {
    targets.push({
      kind: "logs",
      label: `Logs of ${service}`,
      path: "/logs",
      params: { q: addStreamMatcher("{}", "service_name", "=", service), ...range },
    });
    targets.push({ kind: "traces", label: `Traces of ${service}`, path: "/traces", params: { service, ...range } });
  }
  return targets;
}

/** Restricts lines to the alert's own service where the rule grouped by it. */
function narrow(query: string, labels: Labels): string {
  const service = labels.service_name;
  return service && query.startsWith("{") ? addStreamMatcher(query, "service_name", "=", service) : query;
}

/**
 * What an alert's generator URL says about its rule: Belfry's rules point to
 * the page of their signal (/graph as Prometheus, /logs, /traces).
 */
export function fromGenerator(url: string): { expr: string; kind: RuleKind | null } {
  try {
    const { pathname, searchParams } = new URL(url, "http://belfry.invalid");
    if (pathname.endsWith("/logs")) return { expr: searchParams.get("q") ?? "", kind: "logs" };
    if (pathname.endsWith("/traces")) return { expr: searchParams.get("q") ?? "", kind: "traces" };
    const expr = searchParams.get("g0.expr") ?? "";
    return { expr, kind: expr ? "metrics" : null };
  } catch {
    return { expr: "", kind: null };
  }
}
