/** All instants here are milliseconds since the epoch unless named otherwise. */

export const second = 1000;
export const minute = 60 * second;
export const hour = 60 * minute;
export const day = 24 * hour;

const unitSizes: Record<string, number> = {
  ms: 1,
  s: second,
  m: minute,
  h: hour,
  d: day,
  w: 7 * day,
  y: 365 * day,
};

/** Parses Prometheus' durations such as "90s", "1h30m" or "2d"; null if it is none. */
export function parseDuration(text: string): number | null {
  const trimmed = text.trim();
  if (!/^(\d+(?:\.\d+)?(ms|s|m|h|d|w|y))+$/.test(trimmed)) return null;
  let total = 0;
  for (const [, amount, unit] of trimmed.matchAll(/(\d+(?:\.\d+)?)(ms|s|m|h|d|w|y)/g)) {
    total += Number(amount) * (unitSizes[unit ?? ""] ?? 0);
  }
  return total;
}

/** Writes a duration the way parseDuration reads it, e.g. "1h30m". */
export function formatDuration(ms: number): string {
  if (ms <= 0) return "0s";
  if (ms < second) return `${Math.round(ms)}ms`;
  let rest = Math.round(ms / second) * second;
  let text = "";
  for (const [unit, size] of [["d", day], ["h", hour], ["m", minute], ["s", second]] as const) {
    const count = Math.floor(rest / size);
    if (count > 0) text += `${count}${unit}`;
    rest -= count * size;
  }
  return text;
}

/** A range as the URL holds it: "now-1h", "now", or epoch milliseconds. */
export interface TimeRange {
  from: string;
  to: string;
}

export interface Interval {
  from: number;
  to: number;
}

export const defaultRange: TimeRange = { from: "now-30m", to: "now" };

export const relativeRanges: { label: string; from: string }[] = [
  { label: "Last 5 minutes", from: "now-5m" },
  { label: "Last 15 minutes", from: "now-15m" },
  { label: "Last 30 minutes", from: "now-30m" },
  { label: "Last 1 hour", from: "now-1h" },
  { label: "Last 3 hours", from: "now-3h" },
  { label: "Last 6 hours", from: "now-6h" },
  { label: "Last 12 hours", from: "now-12h" },
  { label: "Last 24 hours", from: "now-24h" },
  { label: "Last 2 days", from: "now-2d" },
  { label: "Last 7 days", from: "now-7d" },
  { label: "Last 30 days", from: "now-30d" },
];

/** Reads one end of a range; null when it is not a time. */
export function parseTime(text: string, now: number): number | null {
  const trimmed = text.trim();
  if (trimmed === "now") return now;
  const relative = /^now([+-])(.+)$/.exec(trimmed);
  if (relative) {
    const offset = parseDuration(relative[2] ?? "");
    if (offset === null) return null;
    return relative[1] === "-" ? now - offset : now + offset;
  }
  if (/^\d{12,14}$/.test(trimmed)) return Number(trimmed);
  if (/^\d{4}-\d{2}-\d{2}/.test(trimmed)) {
    const parsed = Date.parse(trimmed.includes("T") ? trimmed : trimmed.replace(" ", "T"));
    return Number.isNaN(parsed) ? null : parsed;
  }
  return null;
}

/** Turns a range into instants; a range that makes no sense becomes the default. */
export function resolveRange(range: TimeRange, now: number): Interval {
  const from = parseTime(range.from, now);
  const to = parseTime(range.to, now);
  if (from !== null && to !== null && from < to) return { from, to };
  return { from: now - 30 * minute, to: now };
}

export function isRelative(range: TimeRange): boolean {
  return range.from.startsWith("now") && range.to === "now";
}

export function formatRange(range: TimeRange): string {
  if (isRelative(range)) {
    const known = relativeRanges.find((choice) => choice.from === range.from);
    return known?.label ?? `Last ${range.from.replace(/^now-/, "")}`;
  }
  const end = (text: string) => (/^\d+$/.test(text) ? formatDateTime(Number(text)) : text);
  return `${end(range.from)} → ${end(range.to)}`;
}

const niceSteps = [
  1, 2, 5, 10, 15, 20, 30, 60, 120, 300, 600, 900, 1200, 1800, 3600, 7200, 10800, 21600, 43200, 86400, 172800,
  604800,
].map((seconds) => seconds * second);

/** The smallest round step that needs at most maxPoints for the interval. */
export function chooseStep(interval: Interval, maxPoints: number, smallest = second): number {
  const wanted = Math.max((interval.to - interval.from) / Math.max(1, maxPoints), smallest);
  return niceSteps.find((step) => step >= wanted) ?? Math.ceil(wanted / day) * day;
}

/** Widens an interval to whole steps, so that a refresh asks for the same points. */
export function alignInterval(interval: Interval, step: number): Interval {
  return { from: Math.floor(interval.from / step) * step, to: Math.ceil(interval.to / step) * step };
}

const pad = (value: number, width = 2) => String(value).padStart(width, "0");

export function formatDate(ms: number): string {
  const date = new Date(ms);
  return `${date.getFullYear()}-${pad(date.getMonth() + 1)}-${pad(date.getDate())}`;
}

export function formatClock(ms: number, millis = false): string {
  const date = new Date(ms);
  const clock = `${pad(date.getHours())}:${pad(date.getMinutes())}:${pad(date.getSeconds())}`;
  return millis ? `${clock}.${pad(date.getMilliseconds(), 3)}` : clock;
}

/** Local date and time to the second, in the order that sorts. */
export function formatDateTime(ms: number): string {
  return `${formatDate(ms)} ${formatClock(ms)}`;
}

/** "12s ago", "in 3h": one unit, for reading at a glance. */
export function formatAgo(ms: number, now: number): string {
  const distance = Math.abs(now - ms);
  if (distance < 5 * second) return "just now";
  const [size, unit] =
    distance < minute ? [second, "s"] : distance < hour ? [minute, "m"] : distance < 2 * day ? [hour, "h"] : [day, "d"];
  const amount = `${Math.floor(distance / (size as number))}${unit}`;
  return ms <= now ? `${amount} ago` : `in ${amount}`;
}

/**
 * At most count round local times inside an interval, with a label as short as
 * tells them apart.
 */
export function timeTicks(interval: Interval, count: number): { at: number; label: string }[] {
  const step = chooseStep(interval, Math.max(1, count));
  // Round in local time: midnight here, not midnight in Greenwich.
  const offset = new Date(interval.from).getTimezoneOffset() * minute;
  const ticks: { at: number; label: string }[] = [];
  for (let at = Math.ceil((interval.from - offset) / step) * step + offset; at <= interval.to; at += step) {
    const clock = formatClock(at);
    const label = step >= day || clock === "00:00:00" ? formatDate(at).slice(5) : step < minute ? clock : clock.slice(0, 5);
    ticks.push({ at, label });
  }
  return ticks;
}
