import { quote } from "./logql";

/** What the search form holds; every text as typed. */
export interface TraceSearch {
  service: string;
  operation: string;
  tags: string;
  minDuration: string;
  maxDuration: string;
  errorsOnly: boolean;
}

export interface Tag {
  key: string;
  value: string;
  operator: "=" | "!=" | "=~" | "!~" | ">" | ">=" | "<" | "<=";
}

/** Reads `key=value other="two words" n>=5`, logfmt with operators. */
export function parseTags(text: string): Tag[] {
  const tags: Tag[] = [];
  const pattern = /([^\s=!<>~"]+)\s*(=~|!~|!=|>=|<=|=|>|<)\s*("(?:[^"\\]|\\.)*"|\S+)/g;
  for (const [, key, operator, value] of text.matchAll(pattern)) {
    if (key && operator && value) tags.push({ key, operator: operator as Tag["operator"], value });
  }
  return tags;
}

const scopes = /^(resource|span|event|link|instrumentation|trace|parent)[.:]/;

/** An attribute's name in TraceQL; without a scope it means span or resource. */
export function attributeName(key: string): string {
  const scope = scopes.exec(key);
  const head = scope ? key.slice(0, scope[0].length) : ".";
  const name = key.slice(scope ? head.length : 0).replace(/^\./, "");
  return head + (/^[\w.\-/]+$/.test(name) ? name : quote(name));
}

function literal(value: string): string {
  if (value.startsWith('"')) return value;
  if (/^-?\d+(\.\d+)?$/.test(value) || value === "true" || value === "false") return value;
  return quote(value);
}

/** Writes the search form as TraceQL; an empty form matches every span. */
export function toTraceQL(search: TraceSearch): string {
  const parts: string[] = [];
  if (search.service) parts.push(`resource.service.name = ${quote(search.service)}`);
  if (search.operation) parts.push(`name = ${quote(search.operation)}`);
  for (const tag of parseTags(search.tags)) {
    const value = tag.operator === "=~" || tag.operator === "!~" ? quoted(tag.value) : literal(tag.value);
    parts.push(`${attributeName(tag.key)} ${tag.operator} ${value}`);
  }
  if (search.minDuration.trim()) parts.push(`duration >= ${search.minDuration.trim()}`);
  if (search.maxDuration.trim()) parts.push(`duration <= ${search.maxDuration.trim()}`);
  if (search.errorsOnly) parts.push("status = error");
  return parts.length === 0 ? "{ }" : `{ ${parts.join(" && ")} }`;
}

function quoted(value: string): string {
  return value.startsWith('"') ? value : quote(value);
}

/** A trace id as people paste it: 16 or 32 hex digits; null if it is none. */
export function asTraceId(text: string): string | null {
  const trimmed = text.trim().toLowerCase();
  return /^[0-9a-f]{16}([0-9a-f]{16})?$/.test(trimmed) ? trimmed : null;
}
