import { tokenize } from './tokens';

/** Whether a LogQL expression selects lines, not numbers. */
export function isLogSelection(expr: string): boolean {
  const first = tokenize(expr).find((t) => t.kind !== 'comment' && t.text !== '(');
  return !first || first.text === '{';
}

const spanFunctions = [
  'rate', 'count_over_time', 'min_over_time', 'max_over_time', 'avg_over_time', 'sum_over_time', 'quantile_over_time',
  'histogram_over_time', 'compare',
];

/** Whether a TraceQL expression computes numbers over time. */
export function isTraceMetrics(expr: string): boolean {
  const tokens = tokenize(expr);
  return tokens.some((t, i) => i > 0 && tokens[i - 1].text === '|' && spanFunctions.includes(t.text));
}

/** The ID of a trace that is an expression by itself. */
export function traceId(expr: string): string | undefined {
  const s = expr.trim().replace(/^"|"$/g, '');
  return /^([0-9a-f]{16}|[0-9a-f]{32})$/i.test(s) ? s.toLowerCase() : undefined;
}

/** Where the pipeline of a log selection ends: before what follows it, comments aside. */
export function endOfPipeline(expr: string): number {
  const tokens = tokenize(expr).filter((t) => t.kind !== 'comment');
  return tokens.length ? tokens[tokens.length - 1].to : 0;
}
