import { describe, expect, test } from "vitest";
import { matchRoute } from "../routes";
import { fromPrometheusGraph, hrefTo, withParams } from "./urlstate";

describe("withParams", () => {
  test("changes what it names and keeps the rest", () => {
    expect(withParams("?a=1&b=2", { b: "3", c: "4" })).toBe("?a=1&b=3&c=4");
  });

  test("empty values remove a key, lists repeat it", () => {
    expect(withParams("?a=1", { a: null })).toBe("");
    expect(withParams("?a=1", { a: "" })).toBe("");
    expect(withParams("?expr=x", { expr: ["a b", "c&d"] })).toBe("?expr=a+b&expr=c%26d");
  });

  test("queries survive the way through the address", () => {
    const query = '{a="b&c=d"} |= "50%+1" # ünïcode';
    const search = withParams("", { q: query });
    expect(new URLSearchParams(search).get("q")).toBe(query);
  });
});

describe("hrefTo", () => {
  test("the time range travels, other state does not", () => {
    expect(hrefTo("/logs", { q: "x" }, "?from=now-1h&to=now&refresh=5s&expr=up")).toBe("/logs?from=now-1h&to=now&refresh=5s&q=x");
  });

  test("a range of the link's own wins", () => {
    expect(hrefTo("/logs", { from: "1", to: "2", refresh: null }, "?from=now-1h&to=now&refresh=5s")).toBe("/logs?from=1&to=2");
  });
});

describe("Prometheus' graph addresses", () => {
  test("keep every expression, the range and the tab", () => {
    expect(fromPrometheusGraph("?g0.expr=up&g0.tab=1&g0.range_input=2h&g1.expr=a%2Bb")).toBe(
      "?expr=up&expr=a%2Bb&from=now-2h&to=now&tab=table",
    );
  });

  test("an end makes the range absolute", () => {
    const params = new URLSearchParams(fromPrometheusGraph("?g0.expr=up&g0.range_input=1h&g0.end_input=2026-03-01 12:00:00"));
    expect(Number(params.get("to"))).toBe(Date.UTC(2026, 2, 1, 12));
    expect(Number(params.get("from"))).toBe(Date.UTC(2026, 2, 1, 11));
  });
});

describe("routes", () => {
  test.each([
    ["/", "overview", ""],
    ["/explore/metrics", "metrics", ""],
    ["/traces", "traces", ""],
    ["/traces/", "traces", ""],
    ["/traces/abc", "trace", "abc"],
    ["/incidents/a%2Fb", "incident", "a/b"],
    ["/incidents/%zz", "incident", "%zz"],
    ["/graph", "graph", ""],
  ])("%s", (path, page, id) => expect(matchRoute(path)).toEqual({ page, id }));

  test.each(["/metrics", "/nowhere", "/traces/a/b", "/explore"])("%s is no page", (path) => expect(matchRoute(path)).toBeNull());
});
