import {
  type DataQueryRequest,
  dateTime,
  type LogRowContextOptions,
  LogRowContextQueryDirection,
  type LogRowModel,
  type TimeRange,
} from '@grafana/data';

import { quote } from './lang/tokens';
import type { BelfryQuery } from './types';

/** How far a context reaches if the reader does not say. */
const defaultWindow = 2 * 60 * 60 * 1000;

interface Line {
  labels: Record<string, string>;
  kinds: Record<string, string>;
  id: string;
  nanos: string;
}

/** What a row of a frame is, from the fields of the frame it came in. */
export function lineOf(row: LogRowModel): Line {
  const field = (name: string) => row.dataFrame?.fields.find((f) => f.name === name)?.values[row.rowIndex];
  return {
    labels: (field('labels') as Record<string, string>) ?? row.labels ?? {},
    kinds: (field('labelTypes') as Record<string, string>) ?? {},
    id: (field('id') as string) ?? row.rowId ?? row.uid,
    nanos: row.timeEpochNs,
  };
}

/** The labels of a line's stream: what tells its source from others. */
export function streamLabels(row: LogRowModel): Record<string, string> {
  const { labels, kinds } = lineOf(row);
  const stream = Object.entries(labels).filter(([name]) => kinds[name] === 'I');
  return Object.fromEntries(stream.length ? stream : Object.entries(labels).filter(([name]) => name === 'service_name'));
}

export function selector(labels: Record<string, string>): string {
  return `{${Object.entries(labels).map(([name, value]) => `${name}=${quote(value)}`).join(', ')}}`;
}

/** The query for the lines before or after a row, in the streams that labels select. */
export function contextQuery(
  row: LogRowModel,
  options: LogRowContextOptions | undefined,
  labels: Record<string, string>,
  refId = 'A'
): BelfryQuery {
  const line = lineOf(row);
  const forward = options?.direction === LogRowContextQueryDirection.Forward;
  return {
    refId: `context-${refId}-${forward ? 'after' : 'before'}`,
    queryType: 'logs',
    expr: selector(labels),
    purpose: 'context',
    direction: forward ? 'forward' : 'backward',
    maxLines: options?.limit ?? 10,
    anchor: { nanos: line.nanos, id: line.id },
  };
}

export function contextRequest(
  row: LogRowModel,
  options: LogRowContextOptions | undefined,
  query: BelfryQuery
): DataQueryRequest<BelfryQuery> {
  const reach = options?.timeWindowMs ? options.timeWindowMs / 2 : defaultWindow;
  const from = dateTime(row.timeEpochMs - reach);
  const to = dateTime(row.timeEpochMs + reach);
  const range: TimeRange = { from, to, raw: { from, to } };
  return {
    requestId: `${query.refId}-${row.uid}`,
    interval: '1s',
    intervalMs: 1000,
    range,
    scopedVars: options?.scopedVars ?? {},
    targets: [query],
    timezone: 'browser',
    app: 'log-context',
    startTime: Date.now(),
    hideFromInspector: true,
  };
}
