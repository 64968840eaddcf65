/** Values put in a URL: null and "" remove the key, a list repeats it. */
export type ParamValues = Record<string, string | string[] | null | undefined>;

/** Returns search with changes applied; keys not named stay as they are. */
export function withParams(search: string, changes: ParamValues): string {
  const params = new URLSearchParams(search);
  for (const [key, value] of Object.entries(changes)) {
    params.delete(key);
    if (Array.isArray(value)) {
      for (const item of value) params.append(key, item);
    } else if (value) {
      params.set(key, value);
    }
  }
  const text = params.toString();
  return text === "" ? "" : `?${text}`;
}

/** Keys that follow the reader from page to page. */
const travelling = ["from", "to", "refresh"];

/** A link to path with own parameters, keeping the time range unless given. */
export function hrefTo(path: string, params: ParamValues, currentSearch: string): string {
  const kept: ParamValues = {};
  const current = new URLSearchParams(currentSearch);
  for (const key of travelling) {
    if (!(key in params)) kept[key] = current.get(key);
  }
  return path + withParams("", { ...kept, ...params });
}

/**
 * Translates Prometheus' query page parameters (g0.expr, g0.range_input,
 * g0.end_input, g0.tab) into ours, so that its links keep working.
 */
export function fromPrometheusGraph(search: string): string {
  const params = new URLSearchParams(search);
  const expr: string[] = [];
  for (let i = 0; params.has(`g${i}.expr`); i++) expr.push(params.get(`g${i}.expr`) ?? "");
  const range = params.get("g0.range_input") ?? "1h";
  const end = params.get("g0.end_input");
  const changes: ParamValues = { expr, from: `now-${range}`, to: "now" };
  if (end) {
    const to = Date.parse(end.replace(" ", "T") + "Z");
    if (!Number.isNaN(to)) {
      changes.to = String(to);
      changes.from = String(to - durationOr(range, 3_600_000));
    }
  }
  const tab = params.get("g0.tab");
  if (tab === "1" || tab === "table") changes.tab = "table";
  return withParams("", changes);
}

function durationOr(text: string, fallback: number): number {
  const parts = /^(\d+)([smhdw])$/.exec(text);
  if (!parts) return fallback;
  const sizes: Record<string, number> = { s: 1e3, m: 6e4, h: 3.6e6, d: 8.64e7, w: 6.048e8 };
  return Number(parts[1]) * (sizes[parts[2] ?? ""] ?? 0);
}
