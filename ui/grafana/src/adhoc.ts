import type { AdHocVariableFilter, DrilldownsApplicability } from '@grafana/data';

import { asksForLines, asksForNumbers, typeOf } from './query';
import type { BelfryQuery, Filter, Signal } from './types';

/** The signal that names and values for a dashboard's filters come from: that of its queries. */
export function signalOf(queries: BelfryQuery[] | undefined): Signal {
  const type = queries?.length ? typeOf(queries[0]) : 'metrics';
  if (type === 'patterns') {
    return 'logs';
  }
  return type === 'logs' || type === 'traces' ? type : 'metrics';
}

/** The other filters, which narrow a list; not those on the key itself, which would hide its other values. */
export function others(filters: AdHocVariableFilter[] | undefined, key?: string): Filter[] {
  return (filters ?? [])
    .filter((f) => f.key && f.key !== key && f.operator && (f.value !== '' || f.values?.length))
    .map(({ key, operator, value, values }) => ({ key, operator, value, ...(values?.length ? { values } : {}) }));
}

const comparisons = ['<', '>', '<=', '>='];

/** Which filters and groupings a panel's queries can follow, and why others not. */
export function applicability(queries: BelfryQuery[], filters: AdHocVariableFilter[], groupBy: string[]): DrilldownsApplicability[] {
  const expressions = queries.filter((q) => ['metrics', 'logs', 'traces', 'patterns', 'slo', 'annotations'].includes(typeOf(q)));
  const numbers = queries.some((q) => asksForNumbers(q) && !asksForLines(q));
  const onlyMetrics = expressions.length > 0 && expressions.every((q) => ['metrics', 'slo'].includes(typeOf(q)));
  const verdict = (key: string, reason: string | undefined, origin?: string): DrilldownsApplicability => ({
    key,
    applicable: reason === undefined,
    ...(reason ? { reason } : {}),
    ...(origin ? { origin } : {}),
  });
  return [
    ...filters.map((f) => {
      let reason: string | undefined;
      if (queries.length && !expressions.length) {
        reason = 'these queries have no labels to filter by';
      } else if (onlyMetrics && comparisons.includes(f.operator)) {
        reason = 'labels of metrics are not compared by size';
      }
      return verdict(f.key, reason, f.origin);
    }),
    ...groupBy.map((key) => verdict(key, queries.length && !numbers ? 'only numbers are grouped' : undefined)),
  ];
}
