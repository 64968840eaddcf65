import { describe, expect, test } from "vitest";
import type { Span, Trace } from "./trace";
import { findRows, layoutTrace, servicesOf, ticks, visibleRows } from "./waterfall";

function span(id: string, parentId: string, start: number, duration: number, more: Partial<Span> = {}): Span {
  return {
    id,
    parentId,
    name: `op ${id}`,
    service: "shop",
    kind: "internal",
    start,
    duration,
    error: false,
    statusMessage: "",
    attributes: [],
    events: [],
    links: [],
    resource: [],
    scope: "",
    ...more,
  };
}

const traceOf = (...spans: Span[]): Trace => ({ id: "t", startMs: 0, duration: 100, spans });
const shape = (trace: Trace) => layoutTrace(trace).map((row) => `${"-".repeat(row.depth)}${row.span.id}`);

describe("layout", () => {
  test("is depth first, siblings by start, whatever order spans came in", () => {
    const trace = traceOf(span("c", "a", 50, 10), span("d", "b", 12, 5), span("b", "a", 10, 20), span("a", "", 0, 100));
    expect(shape(trace)).toEqual(["a", "-b", "--d", "-c"]);
    expect(layoutTrace(trace).map((row) => row.descendants)).toEqual([3, 1, 0, 0]);
  });

  test("spans with a missing parent are shown as roots and marked", () => {
    const rows = layoutTrace(traceOf(span("a", "", 0, 10), span("b", "gone", 5, 2)));
    expect(rows.map((row) => [row.span.id, row.depth, row.orphan])).toEqual([["a", 0, false], ["b", 0, true]]);
  });

  test("cycles are cut, self-parents are roots, equal ids are both kept", () => {
    expect(shape(traceOf(span("a", "b", 0, 1), span("b", "a", 1, 1)))).toEqual(["a", "-b"]);
    expect(shape(traceOf(span("a", "a", 0, 1)))).toEqual(["a"]);
    expect(shape(traceOf(span("a", "", 0, 1), span("a", "", 2, 1), span("b", "a", 3, 1)))).toEqual(["a", "-b", "a"]);
  });

  test("errors are known above, and where they began", () => {
    const rows = layoutTrace(
      traceOf(span("a", "", 0, 9, { error: true }), span("b", "a", 1, 8, { error: true }), span("c", "a", 2, 1)),
    );
    expect(rows.map((row) => [row.errorBelow, row.errorOrigin])).toEqual([[true, false], [false, true], [false, false]]);
  });

  test("own time is the length less what children cover, overlaps once", () => {
    const rows = layoutTrace(
      traceOf(span("a", "", 0, 100), span("b", "a", 10, 30), span("c", "a", 20, 30), span("d", "a", 90, 50)),
    );
    expect(rows[0]?.selfTime).toBe(100 - 40 - 10);
  });

  test("a chain of 100,000 spans does not overflow the stack", () => {
    const spans = Array.from({ length: 100_000 }, (_, i) => span(`s${i}`, i ? `s${i - 1}` : "", i, 1));
    const rows = layoutTrace(traceOf(...spans));
    expect(rows).toHaveLength(100_000);
    expect(rows.at(-1)?.depth).toBe(99_999);
    expect(rows[0]?.descendants).toBe(99_999);
  });
});

test("collapsed rows hide everything below them", () => {
  const rows = layoutTrace(traceOf(span("a", "", 0, 9), span("b", "a", 1, 5), span("c", "b", 2, 1), span("d", "a", 7, 1)));
  expect(visibleRows(rows, new Set([1])).map((row) => row.span.id)).toEqual(["a", "b", "d"]);
  expect(visibleRows(rows, new Set([0])).map((row) => row.span.id)).toEqual(["a"]);
});

test("ticks are round and inside", () => {
  expect(ticks(0, 100, 5)).toEqual([0, 20, 40, 60, 80, 100]);
  expect(ticks(37, 91, 4)).toEqual([40, 60, 80]);
  expect(ticks(5, 5, 4)).toEqual([]);
});

test("services are ordered by the time they took themselves", () => {
  const rows = layoutTrace(traceOf(span("a", "", 0, 10, { service: "web" }), span("b", "a", 0, 9, { service: "db", error: true })));
  expect(servicesOf(rows)).toEqual([
    { service: "db", spans: 1, errors: 1, selfTime: 9 },
    { service: "web", spans: 1, errors: 0, selfTime: 1 },
  ]);
});

test("spans are found by name, service, id and attribute", () => {
  const rows = layoutTrace(traceOf(span("a", "", 0, 1), span("b", "a", 0, 1, { attributes: [{ key: "http.route", value: "/cart" }] })));
  expect(findRows(rows, "HTTP.ROUTE=/ca")).toEqual([1]);
  expect(findRows(rows, "shop")).toEqual([0, 1]);
  expect(findRows(rows, "  ")).toEqual([]);
});
