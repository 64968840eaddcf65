import { CoreApp } from '@grafana/data';

import { isLogSelection, isTraceMetrics, traceId } from './lang/shape';
import type { BelfryQuery, QueryType } from './types';

export const queryTypes: Array<{ value: QueryType; label: string; description: string }> = [
  { value: 'metrics', label: 'Metrics', description: 'PromQL' },
  { value: 'logs', label: 'Logs', description: 'LogQL' },
  { value: 'traces', label: 'Traces', description: 'TraceQL, or the ID of a trace' },
  { value: 'serviceMap', label: 'Service map', description: 'Which service calls which' },
  { value: 'patterns', label: 'Log patterns', description: 'Shapes that many lines share' },
  { value: 'incidents', label: 'Incidents', description: 'What people were told of' },
  { value: 'oncall', label: 'On call', description: 'Who is, and when' },
  { value: 'slo', label: 'Objectives', description: 'Error budgets and how fast they burn' },
  { value: 'cardinality', label: 'Cardinality', description: 'What has the most series' },
  { value: 'annotations', label: 'Annotations', description: 'Deploys, incidents, silences, alerts' },
];

/** The type of a query that may come from elsewhere and say it in other words. */
export function typeOf(query: Partial<BelfryQuery>): QueryType {
  const known = queryTypes.find((t) => t.value === query.queryType);
  if (known) {
    return known.value;
  }
  if (query.queryType && ['trace', 'traceId', 'traceql', 'traceqlSearch', 'search'].includes(query.queryType)) {
    return 'traces';
  }
  return query.expr && traceId(query.expr) ? 'traces' : 'metrics';
}

/** Logs in Explore, metrics in dashboards and alerts. */
export function defaultQuery(app?: CoreApp | string): Partial<BelfryQuery> {
  if (app === CoreApp.Explore) {
    return { queryType: 'logs', expr: '{}', editorMode: 'code' };
  }
  return { queryType: 'metrics', expr: '', editorMode: 'code', mode: 'range', legendFormat: '__auto' };
}

/** Alert rules need numbers: only these types can give them. */
export function typesFor(app?: CoreApp | string) {
  const alerting = app === CoreApp.UnifiedAlerting || app === CoreApp.CloudAlerting;
  return alerting ? queryTypes.filter((t) => ['metrics', 'logs', 'traces'].includes(t.value)) : queryTypes;
}

const withExpression: QueryType[] = ['metrics', 'logs', 'traces', 'patterns'];

export const hasExpression = (type: QueryType) => withExpression.includes(type);

/** Whether a query asks anything: an empty one is not sent. */
export function isComplete(query: BelfryQuery): boolean {
  if (query.hide) {
    return false;
  }
  return typeOf(query) !== 'metrics' || Boolean((query.expr ?? (query as { query?: string }).query ?? '').trim());
}

/** Whether a query returns lines. */
export const asksForLines = (query: BelfryQuery) => typeOf(query) === 'logs' && isLogSelection(query.expr ?? '');

/** Whether a query returns numbers over time. */
export function asksForNumbers(query: BelfryQuery): boolean {
  switch (typeOf(query)) {
    case 'metrics':
      return true;
    case 'logs':
      return !isLogSelection(query.expr ?? '');
    case 'traces':
      return isTraceMetrics(query.expr ?? '');
    default:
      return false;
  }
}

export function displayText(query: BelfryQuery): string {
  const type = typeOf(query);
  if (hasExpression(type)) {
    return query.expr ?? '';
  }
  const label = queryTypes.find((t) => t.value === type)?.label ?? type;
  const about = query.incident ?? query.source ?? query.view ?? query.status ?? query.slo?.name;
  return about ? `${label}: ${about}` : label;
}
