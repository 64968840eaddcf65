/** A number for people: at most four digits, SI prefixes above 10,000. */
export function formatNumber(value: number): string {
  if (Number.isNaN(value)) return "NaN";
  if (!Number.isFinite(value)) return value > 0 ? "+Inf" : "-Inf";
  const size = Math.abs(value);
  if (size === 0) return "0";
  if (size >= 1e15 || size < 1e-4) return value.toExponential(2);
  for (const [scale, prefix] of [[1e12, "T"], [1e9, "G"], [1e6, "M"], [1e4, "k"]] as const) {
    if (size >= scale) return trimZeros((value / (prefix === "k" ? 1e3 : scale)).toPrecision(4)) + prefix;
  }
  return trimZeros(value.toPrecision(4));
}

/** A whole number with thousands separators. */
export function formatCount(value: number): string {
  return Number.isFinite(value) ? Math.round(value).toLocaleString("en-US") : formatNumber(value);
}

function trimZeros(text: string): string {
  return text.includes(".") && !text.includes("e") ? text.replace(/\.?0+$/, "") : text;
}

/** A span's length from nanoseconds: "12.3 ms", "1.5 s", "2m 3s". */
export function formatNanos(nanos: number): string {
  const size = Math.abs(nanos);
  if (size === 0) return "0";
  if (size < 1e3) return `${Math.round(nanos)} ns`;
  if (size < 1e6) return `${trimZeros((nanos / 1e3).toPrecision(3))} µs`;
  if (size < 999.5e6) return `${trimZeros((nanos / 1e6).toPrecision(3))} ms`;
  if (size < 60e9) return `${trimZeros((nanos / 1e9).toPrecision(3))} s`;
  const seconds = Math.round(nanos / 1e9);
  return `${Math.floor(seconds / 60)}m ${seconds % 60}s`;
}

export function formatMillis(ms: number): string {
  return formatNanos(ms * 1e6);
}

export function formatBytes(bytes: number): string {
  const units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];
  let value = bytes;
  let unit = 0;
  while (Math.abs(value) >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit++;
  }
  return `${unit === 0 ? Math.round(value) : trimZeros(value.toPrecision(3))} ${units[unit]}`;
}

export function formatPercent(ratio: number): string {
  if (!Number.isFinite(ratio)) return "–";
  const percent = ratio * 100;
  return `${percent === 0 ? "0" : percent < 0.1 ? "<0.1" : trimZeros(percent.toFixed(percent < 10 ? 1 : 0))}%`;
}

export type Labels = Record<string, string>;

/** A series as Prometheus writes it: name{a="b", c="d"}. */
export function formatSeries(labels: Labels): string {
  const { __name__: name = "", ...rest } = labels;
  const pairs = Object.keys(rest)
    .sort()
    .map((key) => `${key}=${JSON.stringify(rest[key])}`);
  if (pairs.length === 0) return name || "{}";
  return `${name}{${pairs.join(", ")}}`;
}

export function plural(count: number, one: string, many = one + "s"): string {
  return `${formatCount(count)} ${count === 1 ? one : many}`;
}

/** Spreads JSON over lines where text is an object or array, else null. */
export function prettyJson(text: string): string | null {
  const trimmed = text.trim();
  if (!trimmed.startsWith("{") && !trimmed.startsWith("[")) return null;
  try {
    return JSON.stringify(JSON.parse(trimmed), null, 2);
  } catch {
    return null;
  }
}
