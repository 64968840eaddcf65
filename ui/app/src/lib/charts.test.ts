import { describe, expect, test } from "vitest";
import { assignColors, normalizeLevel, palette } from "./colors";
import { totals, volumeBuckets } from "./histogram";
import { alignMatrix, commonLabels, shortName, summarize } from "./matrix";
import { rowAt, rowOffsets, windowOf } from "./virtual";

describe("alignMatrix", () => {
  test("puts points on the grid and leaves gaps", () => {
    const { xs, ys } = alignMatrix([{ labels: {}, points: [[10, 1], [30, 3], [40, NaN]] }], 10_000, 40_000, 10_000);
    expect(xs).toEqual([10, 20, 30, 40]);
    expect(ys).toEqual([[1, null, 3, null]]);
  });

  test("points outside are left out", () => {
    expect(alignMatrix([{ labels: {}, points: [[0, 1], [99, 2]] }], 10_000, 20_000, 10_000).ys).toEqual([[null, null]]);
  });
});

test("a summary leaves out what is not a number", () => {
  expect(summarize([[1, 2], [2, NaN], [3, 4]])).toEqual({ min: 2, max: 4, mean: 3, last: 4 });
  expect(summarize([]).last).toBeNaN();
});

test("legends name what tells series apart", () => {
  const all = [{ __name__: "x", job: "a", i: "1" }, { __name__: "x", job: "a", i: "2" }];
  const common = commonLabels(all);
  expect(common).toEqual({ __name__: "x", job: "a" });
  expect(all.map((labels) => shortName(labels, common))).toEqual(['{i="1"}', '{i="2"}']);
  expect(shortName({ __name__: "x" }, {})).toBe("x");
  expect(commonLabels([{ a: "b" }])).toEqual({});
});

describe("log volume", () => {
  test("bars stand where their lines are and add up by level", () => {
    const buckets = volumeBuckets(
      [
        { labels: { detected_level: "ERROR" }, points: [[20, 2], [30, 1]] },
        { labels: { level: "warning" }, points: [[20, 5]] },
        { labels: {}, points: [[10, 99], [40, 1]] },
      ],
      10_000,
      40_000,
      10_000,
    );
    expect(buckets.map((bucket) => [bucket.at, bucket.total])).toEqual([[10_000, 7], [20_000, 1], [30_000, 1]]);
    expect(totals(buckets)).toEqual([{ level: "error", count: 3 }, { level: "warn", count: 5 }, { level: "unknown", count: 1 }]);
  });
});

test.each([
  ["ERROR2", "error"],
  ["Warning", "warn"],
  ["INFO", "info"],
  ["critical", "fatal"],
  ["TRACE", "trace"],
  ["dbug", "debug"],
  ["", "unknown"],
])("normalizeLevel(%j)", (text, level) => expect(normalizeLevel(text)).toBe(level));

test("names of one view get colours of their own, the same in any order", () => {
  const names = Array.from({ length: palette.length }, (_, i) => `service-${i}`);
  const colors = assignColors(names);
  expect(new Set(colors.values()).size).toBe(palette.length);
  expect(assignColors(names.toReversed())).toEqual(colors);
});

describe("virtual rows", () => {
  const offsets = rowOffsets(5, (i) => (i === 2 ? 100 : 20));

  test("offsets add up", () => expect([...offsets]).toEqual([0, 20, 40, 140, 160, 180]));
  test.each([[0, 0], [19, 0], [20, 1], [139, 2], [140, 3], [999, 4], [-5, 0]])("row at %d", (y, row) => expect(rowAt(offsets, y)).toBe(row));
  test("the window holds every row that is touched", () => expect(windowOf(offsets, 30, 20, 0)).toEqual([1, 3]));
  test("no rows, no window", () => expect(windowOf(rowOffsets(0, () => 1), 0, 100, 50)).toEqual([0, 0]));
});
