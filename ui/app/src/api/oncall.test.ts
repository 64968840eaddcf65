import { describe, expect, it } from "vitest";
import { proposedLabels } from "./alertmanager";
import { decodeAnalytics, decodeSwaps } from "./oncall";

describe("swaps", () => {
  it("name people by their ids", () => {
    const [swap] = decodeSwaps({ swaps: [{ id: "1", person: { id: "ana", name: "Ana" }, start: "2026-06-01T00:00:00Z", end: "2026-06-01T08:00:00Z", status: "open" }] });
    expect(swap).toMatchObject({ person: "ana", takenBy: "", status: "open" });
    expect((swap?.end ?? 0) - (swap?.start ?? 0)).toBe(8 * 3_600_000);
  });
  it("are none in an answer of another shape", () => {
    expect(decodeSwaps({ error: "x" })).toEqual([]);
  });
});

describe("analytics", () => {
  it("keeps rules and people", () => {
    const found = decodeAnalytics({
      incidents: 2,
      pages: 3,
      time_to_acknowledge: { count: 1, median: 60, p90: 60, mean: 60 },
      people: [{ person: "ana", pages: 3, incidents: 2, failed: 0 }],
      rules: [{ rule: "Disk", incidents: 2, pages: 3, fired: 2, unattended: 1 }],
    });
    expect(found.toAcknowledge.median).toBe(60);
    expect(found.rules[0]).toEqual({ rule: "Disk", incidents: 2, pages: 3, fired: 2, unattended: 1 });
    expect(found.flapping).toEqual([]);
  });
});

describe("a proposed silence", () => {
  it("is read as a message writes it", () => {
    expect(proposedLabels('{alertname="A \\"b\\"",service="x,y=z"}')).toEqual({ alertname: 'A "b"', service: "x,y=z" });
  });
  it("is empty for anything else", () => {
    expect(proposedLabels("<script>")).toEqual({});
  });
});
