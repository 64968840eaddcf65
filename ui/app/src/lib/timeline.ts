import type { IncidentAlert, TimelineEvent } from "../api/belfry";
import { asString } from "./decode";

export type TimelineTone = "neutral" | "good" | "warn" | "bad" | "info" | "accent";

/** How an event is drawn; unknown kinds, of newer servers, are drawn plainly. */
export function toneOf(kind: string): TimelineTone {
  switch (kind) {
    case "opened":
    case "alert_fired":
    case "delivery_failed":
    case "escalation_exhausted":
    case "acknowledgement_timed_out":
      return "bad";
    case "severity_changed":
    case "delivery_retry":
    case "step_skipped":
    case "not_notified":
    case "unacknowledged":
    case "unsnoozed":
      return "warn";
    case "acknowledged":
    case "delivered":
    case "alert_resolved":
    case "resolved":
      return "good";
    case "step":
    case "notified":
      return "info";
    case "note":
    case "snoozed":
    case "reassigned":
      return "accent";
    default:
      return "neutral";
  }
}

export interface Told {
  /** A person's id or a channel's name. */
  whom: string;
  method: string;
  /** The last thing known about it. */
  state: "told" | "trying" | "failed" | "delivered" | "canceled";
  at: number;
  error: string;
}

const told: Record<string, Told["state"]> = {
  notified: "told",
  delivery_retry: "trying",
  delivery_failed: "failed",
  delivered: "delivered",
  notification_canceled: "canceled",
};

/** Who was told by which method, and how the last try went. */
export function whoWasTold(timeline: TimelineEvent[]): Told[] {
  const list = new Map<string, Told>();
  for (const event of [...timeline].sort((a, b) => a.seq - b.seq)) {
    const state = told[event.kind];
    if (!state) continue;
    const whom = asString(event.detail.person) || asString(event.detail.channel);
    if (!whom) continue;
    const method = asString(event.detail.method) || asString(event.detail.method_type);
    list.set(`${whom}|${method}`, { whom, method, state, at: event.at, error: asString(event.detail.error) });
  }
  return [...list.values()];
}

/** Firing alerts first, each part by start. */
export function sortAlerts(alerts: IncidentAlert[]): IncidentAlert[] {
  return [...alerts].sort(
    (a, b) => Number(b.status === "firing") - Number(a.status === "firing") || b.startsAt - a.startsAt,
  );
}
