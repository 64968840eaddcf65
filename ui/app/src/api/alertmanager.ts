import { asArray, asLabels, asRecord, asString, asStrings, asTime } from "../lib/decode";
import type { Labels } from "../lib/format";
import { request } from "./http";

export interface ActiveAlert {
  fingerprint: string;
  labels: Labels;
  annotations: Labels;
  /** "active", "suppressed" or "unprocessed". */
  state: string;
  silencedBy: string[];
  inhibitedBy: string[];
  startsAt: number;
  receivers: string[];
  generatorURL: string;
}

export interface Matcher {
  name: string;
  value: string;
  isRegex: boolean;
  isEqual: boolean;
}

export interface Silence {
  id: string;
  matchers: Matcher[];
  startsAt: number;
  endsAt: number;
  createdBy: string;
  comment: string;
  /** "active", "pending" or "expired". */
  state: string;
}

export async function activeAlerts(signal?: AbortSignal): Promise<ActiveAlert[]> {
  return decodeAlerts(await request("/alertmanager/api/v2/alerts", { signal }));
}

export function decodeAlerts(answer: unknown): ActiveAlert[] {
  return asArray(answer)
    .map((item) => {
      const alert = asRecord(item);
      const status = asRecord(alert.status);
      return {
        fingerprint: asString(alert.fingerprint),
        labels: asLabels(alert.labels),
        annotations: asLabels(alert.annotations),
        state: asString(status.state) || "active",
        silencedBy: asStrings(status.silencedBy),
        inhibitedBy: asStrings(status.inhibitedBy),
        startsAt: asTime(alert.startsAt),
        receivers: asArray(alert.receivers).map((receiver) => asString(asRecord(receiver).name)),
        generatorURL: asString(alert.generatorURL),
      };
    })
    .sort((a, b) => b.startsAt - a.startsAt);
}

export async function silences(signal?: AbortSignal): Promise<Silence[]> {
  return decodeSilences(await request("/alertmanager/api/v2/silences", { signal }));
}

const stateOrder = ["active", "pending", "expired"];

export function decodeSilences(answer: unknown): Silence[] {
  return asArray(answer)
    .map((item) => {
      const silence = asRecord(item);
      return {
        id: asString(silence.id),
        matchers: asArray(silence.matchers).map((entry) => {
          const matcher = asRecord(entry);
          return {
            name: asString(matcher.name),
            value: asString(matcher.value),
            isRegex: matcher.isRegex === true,
            isEqual: matcher.isEqual !== false,
          };
        }),
        startsAt: asTime(silence.startsAt),
        endsAt: asTime(silence.endsAt),
        createdBy: asString(silence.createdBy),
        comment: asString(silence.comment),
        state: asString(asRecord(silence.status).state),
      };
    })
    .sort((a, b) => stateOrder.indexOf(a.state) - stateOrder.indexOf(b.state) || b.endsAt - a.endsAt);
}

export interface NewSilence {
  matchers: Matcher[];
  startsAt: number;
  endsAt: number;
  createdBy: string;
  comment: string;
}

export async function createSilence(silence: NewSilence): Promise<string> {
  const answer = await request("/alertmanager/api/v2/silences", {
    method: "POST",
    body: {
      ...silence,
      startsAt: new Date(silence.startsAt).toISOString(),
      endsAt: new Date(silence.endsAt).toISOString(),
    },
  });
  return asString(asRecord(answer).silenceID);
}

export async function expireSilence(id: string): Promise<void> {
  await request(`/alertmanager/api/v2/silence/${encodeURIComponent(id)}`, { method: "DELETE" });
}

export function formatMatcher({ name, value, isRegex, isEqual }: Matcher): string {
  const operator = isEqual ? (isRegex ? "=~" : "=") : isRegex ? "!~" : "!=";
  return `${name}${operator}${JSON.stringify(value)}`;
}

/** Reads one matcher such as service="shop", level!=info or a=~"b|c"; null if it is none. */
export function parseMatcher(text: string): Matcher | null {
  const parts = /^\s*([^\s=!~"]+)\s*(=~|!~|!=|=)\s*(.*?)\s*$/s.exec(text);
  if (!parts) return null;
  const [, name = "", operator = "=", raw = ""] = parts;
  let value = raw;
  if (raw.startsWith('"')) {
    try {
      value = asString(JSON.parse(raw));
    } catch {
      return null;
    }
  }
  return { name, value, isRegex: operator.endsWith("~"), isEqual: operator.startsWith("=") };
}

/** The labels in matchers such as {a="1",b="2"}; those of other kinds are left out. */
export function proposedLabels(text: string): Record<string, string> {
  const labels: Record<string, string> = {};
  for (const [, name, value] of text.matchAll(/([A-Za-z_][\w.]*)=("(?:[^"\\]|\\.)*")/g)) {
    try {
      labels[name ?? ""] = String(JSON.parse(value ?? '""'));
    } catch {
      // Not a string as programs write it.
    }
  }
  return labels;
}
