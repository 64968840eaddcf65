import { describe, expect, test } from "vitest";
import { fromGenerator, rangeAround, targetsFor, withoutThreshold } from "./correlate";
import { kindOfExpression } from "./kinds";

const now = 10_000_000;

test.each([
  ["rate(x[5m]) > 3", "rate(x[5m])"],
  ["a / b >= bool 0.5", "a / b"],
  ["a > b", "a > b"],
  ["up == 0", "up"],
  ["x < 1e-3 ", "x"],
])("withoutThreshold(%j)", (expr, bare) => expect(withoutThreshold(expr)).toBe(bare));

test.each([
  ['sum(rate(http_requests_total{code="500"}[5m])) > 1', "metrics"],
  ['count_over_time({a="b"} |= "x" [5m])', "logs"],
  ['sum(count_over_time({a="b"}[5m]))', "logs"],
  ['sum by (l) (rate({a="b"} | json [5m]))', "logs"],
  ['{ status = error } | rate() by (resource.service.name)', "traces"],
  ["up == 0", "metrics"],
] as const)("kindOfExpression(%j)", (expr, kind) => expect(kindOfExpression(expr)).toBe(kind));

describe("targetsFor", () => {
  test("a metric alert leads to its expression and to its service", () => {
    const targets = targetsFor({ expr: "up > 0", kind: "metrics", labels: { service_name: "cart" }, startsAt: now, endsAt: NaN }, now);
    expect(targets.map((target) => target.label)).toEqual(["Metric", "Logs of cart", "Traces of cart"]);
    expect(targets[0]?.params).toEqual({ expr: ["up"], from: String(now - 1_800_000), to: "now" });
  });

  test("a log alert leads to the count and to the lines of its service", () => {
    const [count, lines] = targetsFor(
      { expr: 'sum by (service_name) (count_over_time({} |= "x" [5m])) > 5', kind: "logs", labels: { service_name: "cart" }, startsAt: now, endsAt: NaN },
      now,
    );
    expect(count?.params.q).toBe('sum by (service_name) (count_over_time({} |= "x" [5m]))');
    expect(lines?.params.q).toBe('{service_name="cart"} |= "x"');
  });

  test("a trace alert leads to its spans", () => {
    const [traces] = targetsFor({ expr: "{ status = error } | rate() > 1", kind: null, labels: {}, startsAt: NaN, endsAt: NaN }, now);
    expect(traces).toMatchObject({ path: "/traces", params: { q: "{ status = error }" } });
  });
});

test("the range ends with the alert where it has ended", () => {
  expect(rangeAround(5_000_000, 6_000_000, now)).toEqual({ from: "3200000", to: "6600000" });
});

test.each([
  ["http://host:4321/graph?g0.expr=up+%3D%3D+0&g0.tab=1", { expr: "up == 0", kind: "metrics" }],
  ["http://host:4321/logs?q=sum%28x%29", { expr: "sum(x)", kind: "logs" }],
  ["https://host/belfry/traces?q=%7B%7D+%7C+rate%28%29", { expr: "{} | rate()", kind: "traces" }],
  ["https://elsewhere/whatever", { expr: "", kind: null }],
  ["", { expr: "", kind: null }],
])("the generator address %j names expression and signal", (url, want) => expect(fromGenerator(url)).toEqual(want));
