import type { AdHocVariableFilter, ScopedVars } from '@grafana/data';

import { typeOf } from './query';
import type { BelfryQuery, Filter } from './types';

/** Times are filled in by the backend, which alert rules go through as well: here they stand for themselves. */
const macros = ['__interval', '__interval_ms', '__rate_interval', '__rate_interval_ms', '__range', '__range_s', '__range_ms', '__auto'];

export function keepMacros(scopedVars: ScopedVars | undefined): ScopedVars {
  const out: ScopedVars = { ...scopedVars };
  for (const name of macros) {
    out[name] = { text: `$${name}`, value: `$${name}` };
  }
  return out;
}

/** Escapes what a regular expression would read, within a quoted string. */
const pattern = (value: string) => value.replace(/[\\^$.*+?()[\]{}|/]/g, '\\\\$&').replace(/"/g, '\\"');

const plain = (value: string) => value.replace(/\\/g, '\\\\').replace(/"/g, '\\"');

interface Variable {
  multi?: boolean;
  includeAll?: boolean;
}

/** A variable's value within an expression's string: alternatives of a regular expression if it can have several. */
export function formatValue(value: unknown, variable?: Variable): string {
  const several = Boolean(variable?.multi || variable?.includeAll);
  if (Array.isArray(value)) {
    if (value.length === 1 && !several) {
      return plain(String(value[0]));
    }
    const parts = value.map((v) => pattern(String(v)));
    return parts.length === 1 ? parts[0] : `(${parts.join('|')})`;
  }
  return several ? pattern(String(value)) : plain(String(value));
}

type Replace = (text: string, scopedVars?: ScopedVars, format?: string | Function) => string;

/** A query with its variables filled in and the dashboard's filters beside it. */
export function interpolate(
  query: BelfryQuery,
  scopedVars: ScopedVars,
  replace: Replace,
  filters?: AdHocVariableFilter[],
  groupBy?: string[]
): BelfryQuery {
  const vars = keepMacros(scopedVars);
  const text = (s: string | undefined) => (s ? replace(s, vars) : s);
  const expression = (s: string | undefined) => (s ? replace(s, vars, formatValue) : s);
  const all: Filter[] = [...(query.filters ?? []), ...(filters ?? [])].map(({ key, operator, value, values }) => ({
    key,
    operator,
    value: text(value) ?? '',
    ...(values?.length ? { values: values.map((v) => text(v) ?? '') } : {}),
  }));
  const out: BelfryQuery = {
    ...query,
    queryType: typeOf(query),
    expr: expression(query.expr),
    legendFormat: text(query.legendFormat),
    interval: text(query.interval),
    title: text(query.title),
    service: text(query.service),
    search: text(query.search),
    status: text(query.status),
    severity: text(query.severity),
    incident: text(query.incident),
    schedule: text(query.schedule),
  };
  if (query.slo) {
    out.slo = { ...query.slo, bad: expression(query.slo.bad), total: expression(query.slo.total), ratio: expression(query.slo.ratio) };
  }
  if (all.length) {
    out.filters = all;
  }
  if (groupBy?.length) {
    out.groupBy = groupBy;
  }
  return out;
}
