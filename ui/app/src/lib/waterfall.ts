import type { Span, Trace } from "./trace";

/** One span's place in the tree, in the order shown. */
export interface Row {
  span: Span;
  depth: number;
  /** Number of spans under this one, at any depth. */
  descendants: number;
  /** A span below has failed, which a collapsed row must not hide. */
  errorBelow: boolean;
  /** It failed and none of its children did: where the failure began. */
  errorOrigin: boolean;
  /** Its parent was named but is not in the trace. */
  orphan: boolean;
  index: number;
  parent: number;
  /** Nanoseconds in which no child ran. */
  selfTime: number;
}

/**
 * Orders spans depth first, siblings by start. Broken traces are shown whole:
 * spans whose parent is missing become roots, a cycle is cut at its earliest
 * span, and of spans with one id the first is the parent of its children.
 * Linear in the spans but for sorting; no recursion, so depth has no limit.
 */
export function layoutTrace(trace: Trace): Row[] {
  const { spans } = trace;
  const byId = new Map<string, number>();
  spans.forEach((span, i) => {
    if (span.id && !byId.has(span.id)) byId.set(span.id, i);
  });
  const children: number[][] = spans.map(() => []);
  const roots: number[] = [];
  spans.forEach((span, i) => {
    const parent = span.parentId ? byId.get(span.parentId) : undefined;
    if (parent === undefined || parent === i) roots.push(i);
    else children[parent]?.push(i);
  });
  const byStart = (a: number, b: number) =>
    (spans[a]?.start ?? 0) - (spans[b]?.start ?? 0) || (spans[b]?.duration ?? 0) - (spans[a]?.duration ?? 0) || a - b;
  for (const list of children) list.sort(byStart);
  roots.sort(byStart);

  const rows: Row[] = [];
  const visited = new Uint8Array(spans.length);
  const walk = (root: number) => {
    const stack: { at: number; depth: number; parent: number }[] = [{ at: root, depth: 0, parent: -1 }];
    for (let next = stack.pop(); next; next = stack.pop()) {
      const { at, depth, parent } = next;
      const span = spans[at];
      if (!span || visited[at]) continue;
      visited[at] = 1;
      const index = rows.length;
      const kids = children[at] ?? [];
      rows.push({
        span,
        depth,
        descendants: 0,
        errorBelow: false,
        errorOrigin: span.error && !kids.some((kid) => spans[kid]?.error),
        orphan: span.parentId !== "" && !byId.has(span.parentId),
        index,
        parent,
        selfTime: selfTime(span, kids, spans),
      });
      for (let i = kids.length - 1; i >= 0; i--) {
        stack.push({ at: kids[i] ?? -1, depth: depth + 1, parent: index });
      }
    }
  };
  for (const root of roots) walk(root);
  if (rows.length < spans.length) {
    const left = spans.map((_, i) => i).filter((i) => !visited[i]);
    for (const at of left.sort(byStart)) if (!visited[at]) walk(at);
  }
  for (let i = rows.length - 1; i >= 0; i--) {
    const row = rows[i];
    const parent = row && row.parent >= 0 ? rows[row.parent] : undefined;
    if (!row || !parent) continue;
    parent.descendants += row.descendants + 1;
    parent.errorBelow ||= row.errorBelow || row.span.error;
  }
  return rows;
}

/** The span's length less the union of its children's, clipped to it. */
function selfTime(span: Span, kids: number[], spans: Span[]): number {
  const end = span.start + span.duration;
  let covered = 0;
  let reached = span.start;
  for (const kid of kids) {
    const child = spans[kid];
    if (!child) continue;
    const from = Math.max(child.start, reached);
    const to = Math.min(child.start + child.duration, end);
    if (to > from) {
      covered += to - from;
      reached = to;
    }
  }
  return Math.max(0, span.duration - covered);
}

/** The rows to show when those in collapsed (by index) hide what is below them. */
export function visibleRows(rows: Row[], collapsed: ReadonlySet<number>): Row[] {
  if (collapsed.size === 0) return rows;
  const shown: Row[] = [];
  for (let i = 0; i < rows.length; i++) {
    const row = rows[i];
    if (!row) continue;
    shown.push(row);
    if (collapsed.has(row.index)) i += row.descendants;
  }
  return shown;
}

/** Round tick positions (nanoseconds) inside [from, to], at most count of them. */
export function ticks(from: number, to: number, count: number): number[] {
  const width = to - from;
  if (width <= 0 || count < 1) return [];
  const rough = width / count;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = ([1, 2, 5, 10].find((factor) => factor * power >= rough) ?? 10) * power;
  const list: number[] = [];
  for (let at = Math.ceil(from / step) * step; at <= to; at += step) list.push(at);
  return list;
}

export interface ServiceShare {
  service: string;
  spans: number;
  errors: number;
  /** Sum of self times: which service the trace waited for. */
  selfTime: number;
}

export function servicesOf(rows: Row[]): ServiceShare[] {
  const shares = new Map<string, ServiceShare>();
  for (const { span, selfTime: own } of rows) {
    const share = shares.get(span.service) ?? { service: span.service, spans: 0, errors: 0, selfTime: 0 };
    share.spans++;
    share.selfTime += own;
    if (span.error) share.errors++;
    shares.set(span.service, share);
  }
  return [...shares.values()].sort((a, b) => b.selfTime - a.selfTime);
}

/** Indexes of rows whose name, service, id or any attribute contains the text. */
export function findRows(rows: Row[], text: string): number[] {
  const wanted = text.trim().toLowerCase();
  if (wanted === "") return [];
  const has = (value: string) => value.toLowerCase().includes(wanted);
  return rows
    .filter(
      ({ span }) =>
        has(span.name) ||
        has(span.service) ||
        span.id.startsWith(wanted) ||
        has(span.statusMessage) ||
        span.attributes.some((item) => has(`${item.key}=${item.value}`)),
    )
    .map((row) => row.index);
}
