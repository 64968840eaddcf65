/**
 * Readers for JSON of unknown shape: each returns a value of its type, empty
 * where the JSON has another, so that one odd field never breaks a page.
 */
export type Json = Record<string, unknown>;

export function asRecord(value: unknown): Json {
  return typeof value === "object" && value !== null && !Array.isArray(value) ? (value as Json) : {};
}

export function asArray(value: unknown): unknown[] {
  return Array.isArray(value) ? value : [];
}

export function asString(value: unknown): string {
  if (typeof value === "string") return value;
  return typeof value === "number" || typeof value === "boolean" ? String(value) : "";
}

/** Numbers and numbers in strings, as protobuf's JSON writes 64-bit ones. */
export function asNumber(value: unknown): number {
  if (typeof value === "number") return value;
  if (typeof value === "string" && value !== "") {
    if (value === "+Inf") return Infinity;
    if (value === "-Inf") return -Infinity;
    return Number(value);
  }
  return NaN;
}

export function asLabels(value: unknown): Record<string, string> {
  const labels: Record<string, string> = {};
  for (const [key, item] of Object.entries(asRecord(value))) {
    labels[key] = typeof item === "object" && item !== null ? JSON.stringify(item) : asString(item);
  }
  return labels;
}

export function asStrings(value: unknown): string[] {
  return asArray(value).map(asString).filter(Boolean);
}

/** An RFC 3339 time or epoch number as milliseconds; NaN where it is neither. */
export function asTime(value: unknown): number {
  if (typeof value === "number") return value < 1e11 ? value * 1000 : value;
  if (typeof value !== "string" || value === "" || value.startsWith("0001-01-01")) return NaN;
  return Date.parse(value);
}
