import { describe, expect, test } from "vitest";
import {
  addFieldFilter,
  addLineFilter,
  addStreamMatcher,
  isMetricQuery,
  linesBehind,
  spansBehind,
  toLogQL,
  volumeQuery,
  withoutFormatting,
} from "./logql";

describe("toLogQL", () => {
  test.each([
    ["", "{}"],
    ["timeout", '{} |= "timeout"'],
    ["payment declined", '{} |= "payment" |= "declined"'],
    ['"payment declined" -retry', '{} |= "payment declined" != "retry"'],
    ['say \\"hi', '{} |= "say" |= "\\\\\\"hi"'],
    ["C:\\temp", '{} |= "C:\\\\temp"'],
    ['{a="b"} |= "x"', '{a="b"} |= "x"'],
    ['sum(rate({a="b"}[5m]))', 'sum(rate({a="b"}[5m]))'],
    ["summary of rates", '{} |= "summary" |= "of" |= "rates"'],
    ["rate limited", '{} |= "rate" |= "limited"'],
  ])("%j", (typed, query) => expect(toLogQL(typed)).toBe(query));
});

test.each([
  ['count_over_time({a="b"}[1m])', true],
  ['sum by (level) (rate({a="b"}[1m]))', true],
  ["topk(3, x)", true],
  ["vector(1)", true],
  ['{a="b"}', false],
  ["sum of parts", false],
  ["max", false],
])("isMetricQuery %j", (text, metric) => expect(isMetricQuery(text)).toBe(metric));

describe("matchers", () => {
  test("are added to the selector, whatever follows it", () => {
    expect(addStreamMatcher("", "service_name", "=", "cart")).toBe('{service_name="cart"}');
    expect(addStreamMatcher('{a="b"} |= "x"', "c", "!=", "d")).toBe('{a="b", c!="d"} |= "x"');
  });

  test("an equality replaces the label's other equality and the opposite", () => {
    expect(addStreamMatcher('{a="b"}', "a", "=", "c")).toBe('{a="c"}');
    expect(addStreamMatcher('{a!="b"}', "a", "=", "b")).toBe('{a="b"}');
    expect(addStreamMatcher('{a="b"}', "a", "=", "b")).toBe('{a="b"}');
    expect(addStreamMatcher('{a=~"b|c"}', "a", "!=", "b")).toBe('{a=~"b|c", a!="b"}');
  });

  test("braces, commas and quotes inside values are not syntax", () => {
    expect(addStreamMatcher('{a="x,}y", b=`{`} | json', "c", "=", 'say "hi"')).toBe(
      '{a="x,}y", b=`{`, c="say \\"hi\\""} | json',
    );
  });

  test("plain words become LogQL first", () => {
    expect(addStreamMatcher("timeout", "a", "=", "b")).toBe('{a="b"} |= "timeout"');
  });
});

describe("filters", () => {
  test("fields are filtered after the pipeline, once", () => {
    const once = addFieldFilter('{} |= "x"', "user_id", "=", "u1");
    expect(once).toBe('{} |= "x" | user_id="u1"');
    expect(addFieldFilter(once, "user_id", "=", "u1")).toBe(once);
    expect(addFieldFilter(once, "user_id", "!=", "u1")).toBe('{} |= "x" | user_id!="u1"');
  });

  test("a metric query is left alone", () => {
    const query = 'sum(rate({a="b"}[5m]))';
    expect(addFieldFilter(query, "x", "=", "y")).toBe(query);
    expect(addStreamMatcher(query, "x", "=", "y")).toBe(query);
  });

  test("line filters stand right after the selector", () => {
    expect(addLineFilter('{a="b"} | json', "|=", "x")).toBe('{a="b"} |= "x" | json');
    expect(addLineFilter("{}", "|>", "took <_> ms")).toBe('{} |> "took <_> ms"');
  });
});

describe("what is behind a number", () => {
  test.each([
    ['sum by (a) (count_over_time({s="p"} |= "declined" [5m])) > 5', '{s="p"} |= "declined"'],
    ['rate({s="a[0]"} | json | x="}" [1m])', '{s="a[0]"} | json | x="}"'],
    ["quantile_over_time(0.9, {s=\"p\"} | logfmt | unwrap duration(d) [5m])", '{s="p"} | logfmt'],
    ["vector(1)", null],
  ])("lines of %j", (query, lines) => expect(linesBehind(query)).toBe(lines));

  test.each([
    ['{ resource.service.name = "a" && name = "}" } | rate() > 1', '{ resource.service.name = "a" && name = "}" }'],
    ["1 + 1", null],
    ["{ unclosed", null],
  ])("spans of %j", (query, spans) => expect(spansBehind(query)).toBe(spans));
});

test("the volume is counted by level, over whole seconds, without formatting", () => {
  const query = withoutFormatting('{a="b"} | json | line_format "{{.x}} | y" | level="error"');
  expect(query).toBe('{a="b"} | json  | level="error"');
  expect(volumeQuery('{a="b"}', 30_000)).toBe('sum by (level, detected_level) (count_over_time({a="b"} [30s]))');
});
