import type { QueryFixAction } from '@grafana/data';

import { endOfPipeline } from './lang/shape';
import { quote, tokenize, unquote } from './lang/tokens';
import { typeOf } from './query';
import type { BelfryQuery } from './types';

type Operator = '=' | '!=';

/** A condition on a field at the end of a pipeline. */
interface Stage {
  key: string;
  operator: string;
  value: string;
  from: number;
  to: number;
}

const labelName = (key: string) => key.replace(/[^a-zA-Z0-9_]/g, '_').replace(/^(?=[0-9])/, '_');

/** The conditions that are stages by themselves: `| key = "value"`. */
function stages(expr: string): Stage[] {
  const tokens = tokenize(expr).filter((t) => t.kind !== 'comment');
  const out: Stage[] = [];
  for (let i = 0; i + 3 < tokens.length; i++) {
    const [bar, key, operator, value] = tokens.slice(i, i + 4);
    const next = tokens[i + 4];
    const whole = !next || next.text === '|' || next.text.startsWith('|') || next.text.startsWith('!');
    if (bar.text === '|' && key.kind === 'word' && ['=', '!='].includes(operator.text) && value.kind === 'string' && whole) {
      out.push({ key: key.text, operator: operator.text, value: unquote(value.text), from: bar.from, to: value.to });
    }
  }
  return out;
}

function append(expr: string, stage: string): string {
  const at = endOfPipeline(expr);
  return `${expr.slice(0, at)} ${stage}${expr.slice(at)}`;
}

const logCondition = (key: string, operator: Operator, value: string) => `| ${labelName(key)} ${operator} ${quote(value)}`;

/** Adds a condition to TraceQL's last set of spans, or makes one. */
function addToSpans(expr: string, condition: string): string {
  const close = tokenize(expr).filter((t) => t.text === '}').pop();
  const open = close && tokenize(expr).filter((t) => t.text === '{' && t.from < close.from).pop();
  if (!close || !open) {
    return `{ ${condition} }`;
  }
  const inner = expr.slice(open.to, close.from).trim();
  return `${expr.slice(0, open.to)} ${inner ? `${inner} && ` : ''}${condition} ${expr.slice(close.from)}`;
}

function addToSeries(expr: string, key: string, operator: Operator, value: string): string {
  const matcher = `${labelName(key)}${operator}${quote(value)}`;
  const close = tokenize(expr).find((t) => t.text === '}');
  if (close) {
    const before = expr.slice(0, close.from).trimEnd();
    return `${before}${before.endsWith('{') || before.endsWith(',') ? '' : ', '}${matcher}${expr.slice(close.from)}`;
  }
  return /^[a-zA-Z_:][\w:]*$/.test(expr.trim()) ? `${expr.trim()}{${matcher}}` : expr;
}

function add(query: BelfryQuery, key: string, operator: Operator, value: string): BelfryQuery {
  const expr = query.expr ?? '';
  switch (typeOf(query)) {
    case 'logs':
    case 'patterns': {
      if (hasFilter(query, key, operator, value)) {
        return query;
      }
      const without = remove(query, key, operator === '=' ? '!=' : '=', value);
      return { ...without, expr: append(without.expr || '{}', logCondition(key, operator, value)) };
    }
    case 'traces':
      return { ...query, expr: addToSpans(expr, `${key} ${operator} ${quote(value)}`) };
    case 'metrics':
      return { ...query, expr: addToSeries(expr, key, operator, value) };
    default:
      return query;
  }
}

function remove(query: BelfryQuery, key: string, operator: Operator, value: string): BelfryQuery {
  const expr = query.expr ?? '';
  const stage = stages(expr).find((s) => s.key === labelName(key) && s.operator === operator && s.value === value);
  return stage ? { ...query, expr: `${expr.slice(0, stage.from).trimEnd()}${expr.slice(stage.to)}` } : query;
}

export function hasFilter(query: BelfryQuery, key: string, operator: Operator, value: string): boolean {
  return stages(query.expr ?? '').some((s) => s.key === labelName(key) && s.operator === operator && s.value === value);
}

/** Sets a filter, or takes it away if it is set; the opposite one is replaced. */
export function toggleFilter(query: BelfryQuery, key: string, operator: Operator, value: string): BelfryQuery {
  return hasFilter(query, key, operator, value) ? remove(query, key, operator, value) : add(query, key, operator, value);
}

export const modifications = ['ADD_FILTER', 'ADD_FILTER_OUT', 'ADD_STRING_FILTER', 'ADD_STRING_FILTER_OUT'];

/** What log details and tables ask to change in a query. */
export function modify(query: BelfryQuery, action: Pick<QueryFixAction, 'type' | 'options'>): BelfryQuery {
  const { key = '', value = '' } = (action.options ?? {}) as { key?: string; value?: string };
  switch (action.type) {
    case 'ADD_FILTER':
      return key ? add(query, key, '=', value) : query;
    case 'ADD_FILTER_OUT':
      return key ? add(query, key, '!=', value) : query;
    case 'ADD_STRING_FILTER':
      return value ? { ...query, expr: append(query.expr || '{}', `|= ${quote(value)}`) } : query;
    case 'ADD_STRING_FILTER_OUT':
      return value ? { ...query, expr: append(query.expr || '{}', `!= ${quote(value)}`) } : query;
    default:
      return query;
  }
}
