import { describe, expect, test } from "vitest";
import { sortAlerts, toneOf, whoWasTold } from "../lib/timeline";
import { decodeIncident, decodeIncidentDetail, decodeOnCall, decodeShifts, type TimelineEvent } from "./belfry";

describe("incidents", () => {
  test("decode with what may be absent", () => {
    const incident = decodeIncident({
      id: "01J",
      number: 7,
      title: "Payments fail",
      status: "acknowledged",
      severity: "critical",
      group_labels: { alertname: "A" },
      opened_at: "2026-03-01T12:00:00Z",
      acknowledged_by: "ada",
      acknowledged_at: "2026-03-01T12:02:00Z",
      assignees: ["ada"],
    });
    expect(incident).toMatchObject({ number: 7, status: "acknowledged", acknowledgedBy: "ada", nextAction: "", alertsFiring: 0 });
    expect(incident.acknowledgedAt - incident.openedAt).toBe(120_000);
    expect(incident.resolvedAt).toBeNaN();
    expect(incident.snoozedUntil).toBeNaN();
  });

  test("a detail carries alerts and timeline beside its own fields", () => {
    const detail = decodeIncidentDetail({
      id: "01J",
      alerts: [{ fingerprint: "f", status: "firing", labels: { a: "b" }, starts_at: "2026-03-01T12:00:00Z", generator_url: "/logs?q=x" }],
      timeline: [{ seq: 1, at: "2026-03-01T12:00:00Z", kind: "notified", message: "m", detail: { person: "ada", method: "inbox" } }],
    });
    expect(detail.incident.id).toBe("01J");
    expect(detail.alerts[0]).toMatchObject({ generatorURL: "/logs?q=x", startsAt: Date.UTC(2026, 2, 1, 12) });
    expect(detail.timeline[0]).toMatchObject({ seq: 1, actor: "", detail: { person: "ada" } });
  });
});

describe("on-call", () => {
  test("who is on call, until when and who is next", () => {
    expect(
      decodeOnCall({
        schedules: [
          { schedule: "p", name: "Primary", time_zone: "Europe/Berlin", people: [{ id: "ada", name: "Ada" }], until: "2026-03-01T12:00:00Z", next: { person: { id: "bo" } } },
          { schedule: "n", people: [] },
        ],
      }),
    ).toEqual([
      { schedule: { id: "p", name: "Primary", timeZone: "Europe/Berlin" }, people: ["ada"], until: Date.UTC(2026, 2, 1, 12), next: "bo" },
      { schedule: { id: "n", name: "n", timeZone: "UTC" }, people: [], until: NaN, next: "" },
    ]);
  });

  test("a shift of nobody is a gap", () => {
    const [gap, shift] = decodeShifts({
      shifts: [
        { start: "2026-03-01T00:00:00Z", end: "2026-03-01T12:00:00Z", person: null },
        { start: "2026-03-01T12:00:00Z", end: "2026-03-02T00:00:00Z", person: { id: "ada" }, layer: "days" },
      ],
    });
    expect(gap?.person).toBe("");
    expect(shift).toMatchObject({ person: "ada", layer: "days", override: "" });
  });
});

describe("timeline", () => {
  const event = (seq: number, kind: string, detail: Record<string, unknown>): TimelineEvent => ({ seq, at: seq, kind, actor: "", message: "", detail });

  test("who was told is the last thing known of each person and method", () => {
    expect(
      whoWasTold([
        event(4, "delivered", { person: "ada", method: "inbox" }),
        event(1, "notified", { person: "ada", method: "inbox" }),
        event(2, "notified", { person: "ada", method: "mail" }),
        event(3, "delivery_retry", { person: "ada", method: "mail", error: "503" }),
        event(5, "not_notified", { person: "bo" }),
        event(6, "notified", { channel: "ops", method_type: "webhook" }),
      ]).map(({ whom, method, state }) => [whom, method, state]),
    ).toEqual([
      ["ada", "inbox", "delivered"],
      ["ada", "mail", "trying"],
      ["ops", "webhook", "told"],
    ]);
  });

  test("kinds this app does not know are plain", () => {
    expect(toneOf("opened")).toBe("bad");
    expect(toneOf("invented_later")).toBe("neutral");
  });

  test("firing alerts come first, newest first", () => {
    const alert = (fingerprint: string, status: string, startsAt: number) => ({ fingerprint, status, startsAt, endsAt: NaN, labels: {}, annotations: {}, generatorURL: "" });
    const list = [alert("a", "resolved", 9), alert("b", "firing", 1), alert("c", "firing", 2)];
    expect(sortAlerts(list).map((one) => one.fingerprint)).toEqual(["c", "b", "a"]);
  });
});
