import { describe, expect, test } from "vitest";
import { formatBytes, formatCount, formatNanos, formatNumber, formatPercent, formatSeries, plural, prettyJson } from "./format";

test.each([
  [0, "0"],
  [0.00012345, "0.0001234"],
  [0.000001, "1.00e-6"],
  [2.71851, "2.719"],
  [9999, "9999"],
  [12_345, "12.35k"],
  [-5_000_000, "-5M"],
  [2.5e9, "2.5G"],
  [1e20, "1.00e+20"],
  [NaN, "NaN"],
  [-Infinity, "-Inf"],
])("formatNumber(%d)", (value, text) => expect(formatNumber(value)).toBe(text));

test.each([
  [0, "0"],
  [850, "850 ns"],
  [1_500, "1.5 µs"],
  [12_340_000, "12.3 ms"],
  [999_600_000, "1 s"],
  [1_500_000_000, "1.5 s"],
  [123_000_000_000, "2m 3s"],
])("formatNanos(%d)", (nanos, text) => expect(formatNanos(nanos)).toBe(text));

test.each([
  [0, "0 B"],
  [1536, "1.5 KiB"],
  [5 * 1024 ** 3, "5 GiB"],
])("formatBytes(%d)", (bytes, text) => expect(formatBytes(bytes)).toBe(text));

test.each([
  [0, "0%"],
  [0.0004, "<0.1%"],
  [0.0234, "2.3%"],
  [0.5, "50%"],
  [NaN, "–"],
])("formatPercent(%d)", (ratio, text) => expect(formatPercent(ratio)).toBe(text));

describe("series", () => {
  test("are written as Prometheus writes them, labels in order", () => {
    expect(formatSeries({ __name__: "up", job: "a", instance: 'x"y' })).toBe('up{instance="x\\"y", job="a"}');
    expect(formatSeries({ __name__: "up" })).toBe("up");
    expect(formatSeries({})).toBe("{}");
  });
});

test("counts have separators and their plural", () => {
  expect(formatCount(1234567)).toBe("1,234,567");
  expect(plural(1, "span")).toBe("1 span");
  expect(plural(0, "series", "series")).toBe("0 series");
});

test("only JSON objects and arrays are spread", () => {
  expect(prettyJson('{"a":1}')).toBe('{\n  "a": 1\n}');
  expect(prettyJson("{ not json")).toBeNull();
  expect(prettyJson("12")).toBeNull();
});
