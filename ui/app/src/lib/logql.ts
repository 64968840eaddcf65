/** Building and editing LogQL text. Nothing here parses the whole language. */

export type Match = "=" | "!=";

/** Quotes a string as LogQL and TraceQL read it. */
export function quote(text: string): string {
  return JSON.stringify(text);
}

const metricStart =
  /^\s*(\(|-?\d|sum|avg|min|max|count|stddev|stdvar|topk|bottomk|sort|sort_desc|approx_topk|rate|rate_counter|bytes_rate|bytes_over_time|count_over_time|sum_over_time|avg_over_time|min_over_time|max_over_time|first_over_time|last_over_time|stddev_over_time|stdvar_over_time|quantile_over_time|absent_over_time|label_replace|vector)\s*(\(|by\b|without\b|$)/;

/** Whether the text yields numbers rather than lines. */
export function isMetricQuery(text: string): boolean {
  return metricStart.test(text) && text.includes("(");
}

/**
 * Turns what was typed into LogQL. Text that starts like LogQL is left alone;
 * plain words become line filters: each must occur, -word must not, and
 * "quoted words" hold together.
 */
export function toLogQL(input: string): string {
  const text = input.trim();
  if (text === "") return "{}";
  if (text.startsWith("{") || isMetricQuery(text)) return text;
  let query = "{}";
  for (const [, minus, quoted, word] of text.matchAll(/(-?)(?:"((?:[^"\\]|\\.)*)"|(\S+))/g)) {
    const term = quoted === undefined ? (word ?? "") : quoted.replace(/\\(.)/g, "$1");
    if (term === "") continue;
    query += ` ${minus ? "!=" : "|="} ${quote(term)}`;
  }
  return query;
}

/** Where the stream selector at the text's start ends (after its brace), or -1. */
function selectorEnd(query: string): number {
  const start = query.search(/\S/);
  if (start < 0 || query[start] !== "{") return -1;
  return closingBrace(query, start);
}

/** The index after the brace that closes the one at open, minding strings; -1 if none. */
export function closingBrace(text: string, open: number): number {
  let depth = 0;
  for (let i = open; i < text.length; i++) {
    const char = text[i];
    if (char === '"' || char === "`") {
      i = stringEnd(text, i);
    } else if (char === "{") {
      depth++;
    } else if (char === "}") {
      depth--;
      if (depth === 0) return i + 1;
    }
  }
  return -1;
}

/** The index of the quote that closes the one at open, or the last index. */
function stringEnd(text: string, open: number): number {
  const mark = text[open];
  for (let i = open + 1; i < text.length; i++) {
    if (text[i] === "\\" && mark === '"') i++;
    else if (text[i] === mark) return i;
  }
  return text.length;
}

/** Splits the inside of a selector at its commas, minding strings. */
function splitMatchers(inside: string): string[] {
  const parts: string[] = [];
  let from = 0;
  for (let i = 0; i < inside.length; i++) {
    if (inside[i] === '"' || inside[i] === "`") i = stringEnd(inside, i);
    else if (inside[i] === ",") {
      parts.push(inside.slice(from, i));
      from = i + 1;
    }
  }
  parts.push(inside.slice(from));
  return parts.map((part) => part.trim()).filter(Boolean);
}

/** Adds label=value to the stream selector, replacing an opposite or equal one. */
export function addStreamMatcher(query: string, label: string, match: Match, value: string): string {
  const base = toLogQL(query);
  const end = selectorEnd(base);
  if (end < 0) return base;
  const open = base.indexOf("{");
  const added = `${label}${match}${quote(value)}`;
  const same = new Set([`${label}=${quote(value)}`, `${label}!=${quote(value)}`]);
  const kept = splitMatchers(base.slice(open + 1, end - 1)).filter((part) => {
    if (same.has(part)) return false;
    // Two equalities on one label can never both hold: the newer one counts.
    return !(match === "=" && part.startsWith(`${label}="`));
  });
  return `${base.slice(0, open)}{${[...kept, added].join(", ")}}${base.slice(end)}`;
}

/** Adds a filter on a field beside the line: structured metadata or a parsed one. */
export function addFieldFilter(query: string, field: string, match: Match, value: string): string {
  const base = toLogQL(query);
  if (selectorEnd(base) < 0) return base;
  const added = ` | ${field}${match}${quote(value)}`;
  const opposite = ` | ${field}${match === "=" ? "!=" : "="}${quote(value)}`;
  const cleaned = base.replace(opposite, "");
  return cleaned.includes(added) ? cleaned : cleaned + added;
}

/** Whether LogQL can name the field as it is. */
export function isFieldName(name: string): boolean {
  return /^[A-Za-z_][A-Za-z0-9_]*$/.test(name);
}

/** Adds a line filter: by what lines hold, or by their pattern. */
export function addLineFilter(query: string, match: "|=" | "!=" | "|>" | "!>", text: string): string {
  const base = toLogQL(query);
  const end = selectorEnd(base);
  if (end < 0) return base;
  return `${base.slice(0, end)} ${match} ${quote(text)}${base.slice(end)}`;
}

/**
 * The log lines behind a metric query: its first selector with what follows up
 * to the range, e.g. {a="b"} |= "x" of sum(rate({a="b"} |= "x" [5m])) > 1.
 */
export function linesBehind(metricQuery: string): string | null {
  const open = findOutsideStrings(metricQuery, 0, "{");
  if (open < 0) return null;
  const range = findOutsideStrings(metricQuery, open, "[");
  const end = range < 0 ? closingBrace(metricQuery, open) : range;
  if (end < 0) return null;
  const unwrap = metricQuery.slice(open, end).replace(/\|\s*unwrap\b[^|]*/, "");
  return unwrap.trim();
}

/** The spans behind a TraceQL metric query: its first filter in braces. */
export function spansBehind(traceQuery: string): string | null {
  const open = findOutsideStrings(traceQuery, 0, "{");
  if (open < 0) return null;
  const end = closingBrace(traceQuery, open);
  return end < 0 ? null : traceQuery.slice(open, end);
}

function findOutsideStrings(text: string, from: number, wanted: string): number {
  for (let i = from; i < text.length; i++) {
    if (text[i] === wanted) return i;
    if (text[i] === '"' || text[i] === "`") i = stringEnd(text, i);
  }
  return -1;
}

/** Lines per level over time; the shape of Grafana's own volume query. */
export function volumeQuery(logQuery: string, stepMs: number): string {
  return `sum by (level, detected_level) (count_over_time(${logQuery} [${Math.max(1, Math.round(stepMs / 1000))}s]))`;
}

/** The part of a query before its first line_format, which counting never needs. */
export function withoutFormatting(logQuery: string): string {
  return logQuery.replace(/\|\s*line_format\s+("(?:[^"\\]|\\.)*"|`[^`]*`)/g, "").trim();
}
