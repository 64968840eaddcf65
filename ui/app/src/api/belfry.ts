import { asArray, asLabels, asNumber, asRecord, asString, asStrings, asTime, type Json } from "../lib/decode";
import type { Labels } from "../lib/format";
import { request } from "./http";

const base = "/api/belfry/v1";

export type IncidentStatus = "triggered" | "acknowledged" | "resolved";

export interface Incident {
  id: string;
  number: number;
  title: string;
  summary: string;
  severity: string;
  status: IncidentStatus;
  policy: string;
  source: string;
  receiver: string;
  groupLabels: Labels;
  labels: Labels;
  annotations: Labels;
  alertsFiring: number;
  alertsTotal: number;
  openedAt: number;
  updatedAt: number;
  resolvedAt: number;
  resolvedBy: string;
  acknowledgedBy: string;
  acknowledgedAt: number;
  snoozedUntil: number;
  assignees: string[];
  /** What happens next by itself: "step", "ack_timeout", "unsnooze" or "". */
  nextAction: string;
  nextAt: number;
  step: number;
  round: number;
  /** What incidents like this one are counted by. */
  rule: string;
  /** The incident that goes on in this one's place; "" for none. */
  mergedInto: string;
}

/** What the stores knew when the first page was sent. */
export interface Evidence {
  expr: string;
  threshold: string;
  /** The alert's own series: epoch milliseconds and values. */
  points: { t: number; v: number }[];
  logQuery: string;
  lines: { at: number; text: string }[];
  traceId: string;
}

export interface IncidentAlert {
  fingerprint: string;
  status: string;
  labels: Labels;
  annotations: Labels;
  startsAt: number;
  endsAt: number;
  generatorURL: string;
}

export interface TimelineEvent {
  seq: number;
  at: number;
  kind: string;
  actor: string;
  message: string;
  detail: Json;
}

export interface IncidentDetail {
  incident: Incident;
  alerts: IncidentAlert[];
  timeline: TimelineEvent[];
  /** Those that were merged into it. */
  merged: Incident[];
  evidence: Evidence | null;
}

export interface Page<T> {
  items: T[];
  /** The cursor of the next page; "" on the last. */
  next: string;
}

export interface Person {
  id: string;
  name: string;
}

export interface Shift {
  start: number;
  end: number;
  /** Person id; "" while nobody is on call. */
  person: string;
  layer: string;
  override: string;
}

export interface Schedule {
  id: string;
  name: string;
  timeZone: string;
}

export interface OnCallNow {
  schedule: Schedule;
  people: string[];
  until: number;
  /** Person id of the shift after this one; "" for nobody or unknown. */
  next: string;
}

export interface InboxMessage {
  id: string;
  recipient: string;
  incidentId: string;
  kind: string;
  severity: string;
  title: string;
  body: string;
  links: Labels;
  at: number;
  readAt: number;
}

export function decodeIncident(value: unknown): Incident {
  const fields = asRecord(value);
  return {
    id: asString(fields.id),
    number: asNumber(fields.number),
    title: asString(fields.title),
    summary: asString(fields.summary),
    severity: asString(fields.severity),
    status: (asString(fields.status) || "triggered") as IncidentStatus,
    policy: asString(fields.policy),
    source: asString(fields.source),
    receiver: asString(fields.receiver),
    groupLabels: asLabels(fields.group_labels),
    labels: asLabels(fields.labels),
    annotations: asLabels(fields.annotations),
    alertsFiring: asNumber(fields.alerts_firing) || 0,
    alertsTotal: asNumber(fields.alerts_total) || 0,
    openedAt: asTime(fields.opened_at),
    updatedAt: asTime(fields.updated_at),
    resolvedAt: asTime(fields.resolved_at),
    resolvedBy: asString(fields.resolved_by),
    acknowledgedBy: asString(fields.acknowledged_by),
    acknowledgedAt: asTime(fields.acknowledged_at),
    snoozedUntil: asTime(fields.snoozed_until),
    assignees: asStrings(fields.assignees),
    nextAction: asString(fields.next_action),
    nextAt: asTime(fields.next_at),
    step: asNumber(fields.step) || 0,
    round: asNumber(fields.round) || 0,
    rule: asString(fields.rule),
    mergedInto: asString(fields.merged_into),
  };
}

/** The incident's own fields stand beside its alerts and timeline. */
export function decodeIncidentDetail(answer: unknown): IncidentDetail {
  const body = asRecord(answer);
  return {
    incident: decodeIncident(body),
    alerts: asArray(body.alerts).map((item) => {
      const alert = asRecord(item);
      return {
        fingerprint: asString(alert.fingerprint),
        status: asString(alert.status),
        labels: asLabels(alert.labels),
        annotations: asLabels(alert.annotations),
        startsAt: asTime(alert.starts_at),
        endsAt: asTime(alert.ends_at),
        generatorURL: asString(alert.generator_url),
      };
    }),
    timeline: decodeTimeline(body.timeline),
    merged: asArray(body.merged).map(decodeIncident),
    evidence: body.evidence ? decodeEvidence(body.evidence) : null,
  };
}

function decodeEvidence(value: unknown): Evidence {
  const found = asRecord(value);
  return {
    expr: asString(found.watched) || asString(found.expr),
    threshold: asString(found.threshold),
    points: asArray(asRecord(asArray(found.series)[0]).points).map((item) => {
      const point = asRecord(item);
      return { t: asNumber(point.t), v: asNumber(point.v) };
    }),
    logQuery: asString(found.log_query),
    lines: asArray(found.lines).map((item) => {
      const line = asRecord(item);
      return { at: asTime(line.at), text: asString(line.text) };
    }),
    traceId: asString(found.trace_id),
  };
}

function decodeTimeline(list: unknown): TimelineEvent[] {
  return asArray(list).map((item) => {
    const event = asRecord(item);
    return {
      seq: asNumber(event.seq),
      at: asTime(event.at),
      kind: asString(event.kind),
      actor: asString(event.actor),
      message: asString(event.message),
      detail: asRecord(event.detail),
    };
  });
}

export interface IncidentFilter {
  statuses: IncidentStatus[];
  search: string;
  rule?: string;
  cursor: string;
  limit: number;
}

export async function incidents(filter: IncidentFilter, signal?: AbortSignal): Promise<Page<Incident>> {
  const answer = asRecord(
    await request(`${base}/incidents`, {
      params: { status: filter.statuses, q: filter.search, rule: filter.rule ?? "", cursor: filter.cursor, limit: filter.limit },
      signal,
    }),
  );
  return { items: asArray(answer.incidents).map(decodeIncident), next: asString(answer.next_cursor) };
}

export async function incident(id: string, signal?: AbortSignal): Promise<IncidentDetail> {
  const path = `${base}/incidents/${encodeURIComponent(id)}`;
  const answer = asRecord(await request(path, { signal }));
  const detail = decodeIncidentDetail(answer);
  // Long timelines come in parts; more than this is not read by anybody.
  for (let after = asNumber(answer.timeline_next); after > 0 && detail.timeline.length < 5000; ) {
    const part = asRecord(await request(`${path}/timeline`, { params: { after }, signal }));
    detail.timeline.push(...decodeTimeline(part.timeline));
    after = asNumber(part.timeline_next);
  }
  return detail;
}

export type IncidentAction = "acknowledge" | "unacknowledge" | "resolve" | "snooze" | "reassign" | "severity" | "merge" | "notes";

/** Does something to an incident; body holds what the action needs beside its author. */
export async function act(id: string, action: IncidentAction, body: Json): Promise<void> {
  await request(`${base}/incidents/${encodeURIComponent(id)}/${action}`, { method: "POST", body });
}

export async function createIncident(body: { by: string; title: string; summary: string; severity: string; policy: string }): Promise<Incident> {
  return decodeIncident(await request(`${base}/incidents`, { method: "POST", body }));
}

/** Where the Markdown of a postmortem is served. */
export const postmortemURL = (id: string) => `${base}/incidents/${encodeURIComponent(id)}/postmortem.md`;

/** Names of the escalation policies. */
export async function policies(signal?: AbortSignal): Promise<string[]> {
  return asArray(asRecord(await request(`${base}/policies`, { signal })).policies).map((item) => asString(asRecord(item).name));
}

export async function people(signal?: AbortSignal): Promise<Person[]> {
  return asArray(asRecord(await request(`${base}/people`, { signal })).people).map((item) => {
    const person = asRecord(item);
    return { id: asString(person.id), name: asString(person.name) || asString(person.id) };
  });
}

export async function onCallNow(signal?: AbortSignal): Promise<OnCallNow[]> {
  return decodeOnCall(await request(`${base}/oncall`, { signal }));
}

export function decodeOnCall(answer: unknown): OnCallNow[] {
  return asArray(asRecord(answer).schedules).map((item) => {
    const entry = asRecord(item);
    const id = asString(entry.schedule);
    return {
      schedule: { id, name: asString(entry.name) || id, timeZone: asString(entry.time_zone) || "UTC" },
      people: asArray(entry.people).map((person) => asString(asRecord(person).id)),
      until: asTime(entry.until),
      next: asString(asRecord(asRecord(entry.next).person).id),
    };
  });
}

export async function shifts(schedule: string, from: number, to: number, signal?: AbortSignal): Promise<Shift[]> {
  const answer = await request(`${base}/schedules/${encodeURIComponent(schedule)}/shifts`, {
    params: { from: new Date(from).toISOString(), to: new Date(to).toISOString() },
    signal,
  });
  return decodeShifts(answer);
}

export function decodeShifts(answer: unknown): Shift[] {
  return asArray(asRecord(answer).shifts).map((item) => {
    const shift = asRecord(item);
    return {
      start: asTime(shift.start),
      end: asTime(shift.end),
      person: asString(asRecord(shift.person).id),
      layer: asString(shift.layer),
      override: asString(shift.override),
    };
  });
}

export async function inbox(
  filter: { recipient: string; cursor: string; limit: number },
  signal?: AbortSignal,
): Promise<Page<InboxMessage>> {
  const answer = asRecord(await request(`${base}/inbox`, { params: filter, signal }));
  return {
    items: asArray(answer.messages).map((item) => {
      const message = asRecord(item);
      return {
        id: asString(message.id),
        recipient: asString(message.recipient),
        incidentId: asString(message.incident_id),
        kind: asString(message.kind),
        severity: asString(message.severity),
        title: asString(message.title),
        body: asString(message.body),
        links: asLabels(message.links),
        at: asTime(message.at),
        readAt: asTime(message.read_at),
      };
    }),
    next: asString(answer.next_cursor),
  };
}

export async function markRead(id: string): Promise<void> {
  await request(`${base}/inbox/${encodeURIComponent(id)}/read`, { method: "POST", body: {} });
}
