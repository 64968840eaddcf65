import { describe, expect, test } from "vitest";
import { decodeAlerts, decodeSilences, formatMatcher, parseMatcher } from "./alertmanager";
import { encodeParams, errorMessage } from "./http";
import { decodeLogAnswer, decodePatterns, mergeRows, nextEnd, type LogRow } from "./loki";
import { decodeInstantAnswer, decodeMatrixAnswer, decodeRules } from "./prometheus";
import { mergeHealth } from "./red";
import { decodeSearch } from "./traces";

describe("errors are told in the server's words", () => {
  test.each([
    ['{"status":"error","errorType":"bad_data","error":"1:2: parse error"}', "1:2: parse error"],
    ['{"error":{"code":"not_found","message":"no such incident"}}', "no such incident"],
    ['{"data":null,"errors":[{"code":404,"msg":"trace not found"}]}', "trace not found"],
    ['"a string"', "a string"],
    ["parse error at line 1\n", "parse error at line 1"],
    ["<html>", "Request failed with status 502"],
    ["", "Request failed with status 502"],
  ])("%s", (body, message) => expect(errorMessage(body, 502)).toBe(message));
});

test("absent parameters are left out, lists repeat", () => {
  expect(encodeParams({ a: "", b: null, c: undefined, d: 0, e: ["x", "y"], f: false }).toString()).toBe("d=0&e=x&e=y&f=false");
});

describe("Prometheus", () => {
  test("matrices", () => {
    const answer = decodeMatrixAnswer({
      status: "success",
      warnings: ["partial"],
      data: {
        resultType: "matrix",
        result: [
          { metric: { a: "b" }, values: [[1.5, "2"], [2.5, "+Inf"], [3.5, "NaN"]] },
          { metric: {}, histograms: [[1, { count: "7", sum: "3" }]] },
        ],
      },
    });
    expect(answer.result[0]).toEqual({ labels: { a: "b" }, points: [[1.5, 2], [2.5, Infinity], [3.5, NaN]] });
    expect(answer.result[1]?.points).toEqual([[1, 7]]);
    expect(answer.warnings).toEqual(["partial"]);
  });

  test("vectors, scalars and strings all become rows", () => {
    const vector = { data: { resultType: "vector", result: [{ metric: { a: "b" }, value: [1, "2"] }, { metric: {}, histogram: [1, { count: "4", sum: "9" }] }] } };
    expect(decodeInstantAnswer(vector).result).toEqual([
      { labels: { a: "b" }, value: "2", histogram: null },
      { labels: {}, value: "", histogram: { count: "4", sum: "9" } },
    ]);
    expect(decodeInstantAnswer({ data: { resultType: "scalar", result: [1, "5"] } }).result).toEqual([{ labels: {}, value: "5", histogram: null }]);
    expect(decodeInstantAnswer(null).result).toEqual([]);
  });

  test("rules know their signal: their own, their group's, or by their language", () => {
    const rule = (more: object) => ({ type: "alerting", name: "A", query: "up == 0", state: "firing", ...more });
    const groups = decodeRules({
      data: {
        groups: [
          { name: "g", file: "f", interval: 15, signal: "logs", rules: [rule({}), rule({ signal: "traces" })] },
          { name: "h", file: "f", interval: 15, rules: [rule({}), rule({ query: 'count_over_time({a="b"}[1m])' }), rule({ type: "recording" })] },
        ],
      },
    });
    expect(groups.map((group) => group.rules.map((one) => one.kind))).toEqual([["logs", "traces"], ["metrics", "logs", "metrics"]]);
    expect(groups[1]?.rules[2]?.recording).toBe(true);
  });
});

describe("Loki", () => {
  const answer = (values: unknown[]) => ({ data: { resultType: "streams", result: [{ stream: { service_name: "cart" }, values }] } });
  const rowsOf = (values: unknown[]): LogRow[] => {
    const decoded = decodeLogAnswer(answer(values));
    return decoded.kind === "streams" ? decoded.rows : [];
  };

  test("rows come newest first with all their fields", () => {
    const rows = rowsOf([
      ["1700000000000000001", "older"],
      ["1700000000000000002", "newer", { structuredMetadata: { detected_level: "warn", trace_id: "0af7651916cd43dd8448eb211c80319c" }, parsed: { x: "1" } }],
    ]);
    expect(rows.map((row) => row.line)).toEqual(["newer", "older"]);
    expect(rows[0]).toMatchObject({ level: "warn", traceId: "0af7651916cd43dd8448eb211c80319c", parsed: { x: "1" } });
    expect(rows[0]?.ms).toBeCloseTo(1_700_000_000_000, 0);
  });

  test("level and trace are found in the line where no field has them", () => {
    const [row] = rowsOf([["1", 'level=error trace_id=0af7651916cd43dd8448eb211c80319c msg="no"']]);
    expect(row).toMatchObject({ level: "error", traceId: "0af7651916cd43dd8448eb211c80319c" });
    const [zero] = rowsOf([["1", "x", { structuredMetadata: { trace_id: "00000000000000000000000000000000" } }]]);
    expect(zero?.traceId).toBe("");
  });

  test("equal lines of one instant stay apart, and pages that overlap are joined", () => {
    const first = rowsOf([["30", "c"], ["20", "b"], ["20", "b"]]);
    expect(new Set(first.map((row) => row.key)).size).toBe(3);
    expect(nextEnd(first)).toBe("21");
    const merged = mergeRows(first, rowsOf([["20", "b"], ["20", "b"], ["20", "b"], ["10", "a"]]));
    expect(merged.map((row) => row.line)).toEqual(["c", "b", "b", "b", "a"]);
  });

  test("patterns: the most frequent first, counted in the steps of the range", () => {
    const found = decodePatterns(
      {
        data: [
          { pattern: "rare <_>", level: "error", samples: [[120, 1]] },
          { pattern: "took <_> ms", level: "info", samples: [[60, 2], [60, 1], [179, 4]] },
          { pattern: "none", samples: [] },
        ],
      },
      { from: 60_000, to: 180_000 },
      60_000,
    );
    expect(found).toEqual([
      { pattern: "took <_> ms", level: "info", counts: [3, 4], total: 7 },
      { pattern: "rare <_>", level: "error", counts: [0, 1], total: 1 },
    ]);
  });

  test("counts come as series", () => {
    expect(decodeLogAnswer({ data: { resultType: "matrix", result: [{ metric: { level: "x" }, values: [[1, "2"]] }] } })).toEqual({
      kind: "matrix",
      series: [{ labels: { level: "x" }, points: [[1, 2]] }],
    });
  });
});

test("Tempo's search: short ids are padded, newest first, counts from any form", () => {
  const [second, first] = decodeSearch({
    traces: [
      { traceID: "af7651916cd43dd8448eb211c80319c", rootServiceName: "a", startTimeUnixNano: "1000000000", durationMs: 5, spanSet: { spans: [{}], matched: 4 } },
      { traceID: "0af7651916cd43dd8448eb211c80319d", startTimeUnixNano: "2000000000", spanSets: [{ spans: [{}, {}] }], serviceStats: { a: { spanCount: 3, errorCount: 1 } } },
    ],
  });
  expect(first).toMatchObject({ id: "0af7651916cd43dd8448eb211c80319c", matched: 4, startMs: 1000 });
  expect(second).toMatchObject({ matched: 2, durationMs: 0, services: [{ service: "a", spans: 3, errors: 1 }] });
});

describe("Alertmanager", () => {
  test("alerts and silences decode, the live ones first", () => {
    expect(decodeAlerts([{ fingerprint: "f", labels: { a: "b" }, status: { state: "suppressed", silencedBy: ["s"] }, startsAt: "2026-03-01T12:00:00Z", receivers: [{ name: "r" }] }])[0]).toMatchObject({
      state: "suppressed",
      silencedBy: ["s"],
      receivers: ["r"],
      startsAt: Date.UTC(2026, 2, 1, 12),
    });
    const list = decodeSilences([
      { id: "1", status: { state: "expired" }, endsAt: "2026-03-01T12:00:00Z", matchers: [] },
      { id: "2", status: { state: "active" }, endsAt: "2026-03-01T12:00:00Z", matchers: [{ name: "a", value: "b", isRegex: false }] },
    ]);
    expect(list.map((silence) => silence.id)).toEqual(["2", "1"]);
    expect(list[0]?.matchers[0]?.isEqual).toBe(true);
  });

  test.each(['a="b"', 'a!="b"', 'a=~"b|c"', 'a!~"x.*"', 'a="say \\"hi\\""'])("matcher %s reads back", (text) => {
    const matcher = parseMatcher(text);
    expect(matcher && formatMatcher(matcher)).toBe(text);
  });

  test("unquoted values are fine, half a matcher is none", () => {
    expect(parseMatcher("severity=warning")).toEqual({ name: "severity", value: "warning", isRegex: false, isEqual: true });
    expect(parseMatcher("severity")).toBeNull();
    expect(parseMatcher('a="b')).toBeNull();
  });
});

test("the first source that knows a service has the say", () => {
  const health = (service: string, source: string) => ({ service, source, rate: 1, errors: 0, p95: 1, trend: [] });
  expect(mergeHealth([[health("b", "spans")], [health("a", "http"), health("b", "http")]]).map((one) => [one.service, one.source])).toEqual([
    ["a", "http"],
    ["b", "spans"],
  ]);
});
