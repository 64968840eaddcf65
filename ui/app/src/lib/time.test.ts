import { describe, expect, test } from "vitest";
import {
  alignInterval,
  chooseStep,
  formatAgo,
  formatDuration,
  formatRange,
  hour,
  minute,
  parseDuration,
  parseTime,
  resolveRange,
  timeTicks,
} from "./time";

const now = Date.UTC(2026, 2, 1, 12, 0, 0);

describe("durations", () => {
  test.each([
    ["90s", 90_000],
    ["1h30m", 5_400_000],
    ["2d", 172_800_000],
    ["250ms", 250],
    ["1.5h", 5_400_000],
    ["1w", 604_800_000],
  ])("%s", (text, ms) => expect(parseDuration(text)).toBe(ms));

  test.each(["", "5", "h", "5 m", "m5", "-5m", "5x"])("%j is none", (text) => expect(parseDuration(text)).toBeNull());

  test.each([0, 250, 1000, 61_000, 3_600_000, 90_061_000])("%d ms reads back", (ms) => {
    expect(parseDuration(formatDuration(ms))).toBe(ms);
  });
});

describe("ranges", () => {
  test("relative ends count from now", () => {
    expect(parseTime("now-90m", now)).toBe(now - 90 * minute);
    expect(parseTime("now", now)).toBe(now);
  });

  test("absolute ends are epoch milliseconds or a date", () => {
    expect(parseTime(String(now), now)).toBe(now);
    expect(parseTime("2026-03-01T12:00:00Z", 0)).toBe(now);
  });

  test.each(["", "yesterday", "now-", "now-3", "2026-99-01"])("%j is no time", (text) => {
    expect(parseTime(text, now)).toBeNull();
  });

  test("nonsense and reversed ranges become the default", () => {
    const fallback = { from: now - 30 * minute, to: now };
    expect(resolveRange({ from: "?", to: "now" }, now)).toEqual(fallback);
    expect(resolveRange({ from: "now", to: "now-1h" }, now)).toEqual(fallback);
  });

  test("are named as the menu names them", () => {
    expect(formatRange({ from: "now-1h", to: "now" })).toBe("Last 1 hour");
    expect(formatRange({ from: "now-7m", to: "now" })).toBe("Last 7m");
  });
});

describe("steps", () => {
  test("are round and give at most the wanted points", () => {
    for (const width of [5 * minute, hour, 7 * hour, 90 * hour, 4000 * hour]) {
      const step = chooseStep({ from: 0, to: width }, 300);
      expect(width / step).toBeLessThanOrEqual(300);
      expect(step % 1000).toBe(0);
    }
  });

  test("aligned intervals cover the given one", () => {
    expect(alignInterval({ from: 61_000, to: 119_000 }, 30_000)).toEqual({ from: 60_000, to: 120_000 });
  });
});

test.each([
  [now - 2_000, "just now"],
  [now - 59_000, "59s ago"],
  [now - 3 * hour, "3h ago"],
  [now - 50 * hour, "2d ago"],
  [now + 10 * minute, "in 10m"],
])("formatAgo %#", (at, text) => expect(formatAgo(at, now)).toBe(text));

describe("time ticks", () => {
  test.each([
    [30 * minute, 7],
    [10 * 1000, 5],
    [7 * 24 * hour, 9],
  ])("over %d ms are round, inside and at most %d", (width, count) => {
    const interval = { from: now - width + 1234, to: now };
    const ticks = timeTicks(interval, count);
    expect(ticks.length).toBeGreaterThan(1);
    expect(ticks.length).toBeLessThanOrEqual(count + 1);
    for (const { at } of ticks) {
      expect(at).toBeGreaterThanOrEqual(interval.from);
      expect(at).toBeLessThanOrEqual(interval.to);
      expect(at % 1000).toBe(0);
    }
    expect(new Set(ticks.map((tick) => tick.label)).size).toBe(ticks.length);
  });
});
