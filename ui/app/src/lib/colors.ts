/** Thirteen hues that keep apart on both themes; also used for services. */
export const palette = [
  "#3b9eea", "#e5793b", "#2fae74", "#b06ae0", "#d9a514", "#e0557f", "#20b2b8", "#8a8f3c", "#6f7ff0",
  "#58b83a", "#d45fc0", "#7a93ab", "#b3894d",
] as const;

export function paletteColor(index: number): string {
  return palette[((index % palette.length) + palette.length) % palette.length] ?? palette[0];
}

/** FNV-1a, 32 bits: always the same, so a service keeps its colour. */
export function hashString(text: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) {
    hash ^= text.charCodeAt(i);
    hash = Math.imul(hash, 0x01000193);
  }
  return hash >>> 0;
}

/**
 * Gives each name its hash's colour, or the next free one where two names of
 * the same view would collide.
 */
export function assignColors(names: Iterable<string>): Map<string, string> {
  const colors = new Map<string, string>();
  const taken = new Set<number>();
  for (const name of [...new Set(names)].sort()) {
    let slot = hashString(name) % palette.length;
    for (let tries = 0; tries < palette.length && taken.has(slot); tries++) slot = (slot + 1) % palette.length;
    taken.add(slot);
    colors.set(name, paletteColor(slot));
  }
  return colors;
}

export type Level = "fatal" | "error" | "warn" | "info" | "debug" | "trace" | "unknown";

export const levels: Level[] = ["fatal", "error", "warn", "info", "debug", "trace", "unknown"];

/** Maps the many spellings of a severity, OpenTelemetry's numbered ones too. */
export function normalizeLevel(text: string): Level {
  const lower = text.trim().toLowerCase();
  if (/^(fatal|crit|critical|emerg|emergency|alert|panic)/.test(lower)) return "fatal";
  if (/^(err|severe)/.test(lower)) return "error";
  if (lower.startsWith("warn")) return "warn";
  if (/^(info|notice|log$)/.test(lower)) return "info";
  if (/^(debug|dbug|verbose|fine)/.test(lower)) return "debug";
  if (lower.startsWith("trace")) return "trace";
  return "unknown";
}
