import { asArray, asNumber, asRecord, asString, asTime, type Json } from "../lib/decode";
import { request } from "./http";

const base = "/api/belfry/v1";
const scheduleURL = (id: string) => `${base}/schedules/${encodeURIComponent(id)}`;

/** A time that somebody would like to give away. */
export interface Swap {
  id: string;
  person: string;
  start: number;
  end: number;
  reason: string;
  status: string;
  takenBy: string;
}

export interface Override {
  id: string;
  person: string;
  replaces: string;
  start: number;
  end: number;
  reason: string;
  calendar: string;
}

export async function swaps(schedule: string, signal?: AbortSignal): Promise<Swap[]> {
  return decodeSwaps(await request(`${scheduleURL(schedule)}/swaps`, { signal }));
}

export function decodeSwaps(answer: unknown): Swap[] {
  return asArray(asRecord(answer).swaps).map((item) => {
    const swap = asRecord(item);
    return {
      id: asString(swap.id),
      person: asString(asRecord(swap.person).id),
      start: asTime(swap.start),
      end: asTime(swap.end),
      reason: asString(swap.reason),
      status: asString(swap.status),
      takenBy: asString(asRecord(swap.taken_by).id),
    };
  });
}

export async function overrides(schedule: string, from: number, to: number, signal?: AbortSignal): Promise<Override[]> {
  const answer = await request(`${scheduleURL(schedule)}/overrides`, {
    params: { from: new Date(from).toISOString(), to: new Date(to).toISOString() },
    signal,
  });
  return asArray(asRecord(answer).overrides).map((item) => {
    const override = asRecord(item);
    return {
      id: asString(override.id),
      person: asString(asRecord(override.person).id),
      replaces: asString(asRecord(override.replaces).id),
      start: asTime(override.start),
      end: asTime(override.end),
      reason: asString(override.reason),
      calendar: asString(override.calendar),
    };
  });
}

export async function addOverride(schedule: string, body: Json): Promise<void> {
  await request(`${scheduleURL(schedule)}/overrides`, { method: "POST", body });
}

export async function removeOverride(schedule: string, id: string): Promise<void> {
  await request(`${scheduleURL(schedule)}/overrides/${encodeURIComponent(id)}`, { method: "DELETE" });
}

export async function offerSwap(schedule: string, body: Json): Promise<void> {
  await request(`${scheduleURL(schedule)}/swaps`, { method: "POST", body });
}

export async function takeSwap(schedule: string, id: string, person: string): Promise<void> {
  await request(`${scheduleURL(schedule)}/swaps/${encodeURIComponent(id)}/take`, { method: "POST", body: { person } });
}

export async function withdrawSwap(schedule: string, id: string): Promise<void> {
  await request(`${scheduleURL(schedule)}/swaps/${encodeURIComponent(id)}`, { method: "DELETE" });
}

/** The feed that calendar programs subscribe to. */
export const feedURL = (schedule: string) => `${scheduleURL(schedule)}/calendar.ics`;

export interface Durations {
  count: number;
  mean: number;
  median: number;
  p90: number;
}

export interface RuleNoise {
  rule: string;
  incidents: number;
  pages: number;
  fired: number;
  unattended: number;
}

export interface Analytics {
  incidents: number;
  acknowledged: number;
  resolved: number;
  pages: number;
  toAcknowledge: Durations;
  toResolve: Durations;
  people: { person: string; channel: string; pages: number; incidents: number; failed: number }[];
  rules: RuleNoise[];
  flapping: RuleNoise[];
}

export async function analytics(from: number, to: number, signal?: AbortSignal): Promise<Analytics> {
  return decodeAnalytics(
    await request(`${base}/analytics`, { params: { from: new Date(from).toISOString(), to: new Date(to).toISOString() }, signal }),
  );
}

export function decodeAnalytics(answer: unknown): Analytics {
  const body = asRecord(answer);
  const durations = (value: unknown): Durations => {
    const fields = asRecord(value);
    return { count: asNumber(fields.count), mean: asNumber(fields.mean), median: asNumber(fields.median), p90: asNumber(fields.p90) };
  };
  const noise = (value: unknown): RuleNoise[] =>
    asArray(value).map((item) => {
      const rule = asRecord(item);
      return {
        rule: asString(rule.rule),
        incidents: asNumber(rule.incidents),
        pages: asNumber(rule.pages),
        fired: asNumber(rule.fired),
        unattended: asNumber(rule.unattended),
      };
    });
  return {
    incidents: asNumber(body.incidents),
    acknowledged: asNumber(body.acknowledged),
    resolved: asNumber(body.resolved),
    pages: asNumber(body.pages),
    toAcknowledge: durations(body.time_to_acknowledge),
    toResolve: durations(body.time_to_resolve),
    people: asArray(body.people).map((item) => {
      const one = asRecord(item);
      return {
        person: asString(one.person),
        channel: asString(one.channel),
        pages: asNumber(one.pages),
        incidents: asNumber(one.incidents),
        failed: asNumber(one.failed),
      };
    }),
    rules: noise(body.rules),
    flapping: noise(body.flapping),
  };
}
